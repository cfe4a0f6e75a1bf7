"""The operations of the OpenAPI document, as the page of the API shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from sidekick.api import calls
from sidekick.api.openapi import REFUSALS

Schema = dict[str, Any]
CALLERS = {"serviceKey": "service key", "accessToken": "access token"}


@dataclass(frozen=True, slots=True)
class Field:
    """One line about a parameter or a member of a body."""

    name: str
    kind: str
    required: bool
    words: SafeString


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    code: str
    when: SafeString


@dataclass(slots=True)
class Operation:
    """One operation, as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    words: list[SafeString]
    callers: list[str]
    parameters: list[Field]
    headers: list[Field]
    body: list[tuple[str, list[Field]]]
    curl: str
    python: str
    status: str
    answer: str
    answer_fields: list[tuple[str, list[Field]]]
    refusals: list[Refused] = field(default_factory=list)


def describe(schema: Schema, path: str, method: str, described: Schema) -> Operation:
    parameters = described.get("parameters", [])
    status, answer = next((s, a) for s, a in described["responses"].items() if s.startswith("2"))
    content = answer.get("content", {}).get("application/json", {})
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = calls.example(body)
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        summary=described["summary"],
        words=[as_html(paragraph) for paragraph in described["description"].split("\n\n")],
        callers=[CALLERS[name] for choice in described.get("security", []) for name in choice],
        parameters=[_parameter(p) for p in parameters if p["in"] in {"query", "path"}],
        headers=[_parameter(p) for p in parameters if p["in"] == "header"],
        body=list(_fields(schema, body.get("schema"))),
        curl=calls.curl(method, path, parameters, sent, described),
        python=calls.python(method, path, parameters, sent, described),
        status=status,
        answer=json.dumps(calls.example(content), indent=2, ensure_ascii=False) if content else "",
        answer_fields=list(_fields(schema, content.get("schema"))),
        refusals=list(_refusals(described)),
    )


def _refusals(described: Schema) -> Iterator[Refused]:
    for answer in described["responses"].values():
        for example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
            code = example["value"]["code"]
            yield Refused(example["value"]["status"], code, as_html(REFUSALS[code].when))


def _parameter(parameter: Schema) -> Field:
    required = parameter.get("required", False)
    return Field(parameter["name"], _kind(parameter["schema"]), required, as_html(parameter.get("description", "")))


def _fields(schema: Schema, shape: Schema | None, name: str = "") -> Iterator[tuple[str, list[Field]]]:
    """The members of an object, and after it those of every object within."""
    shape = _resolved(schema, shape or {})
    members = shape.get("properties", {})
    if not members:
        return
    required = shape.get("required", [])
    yield name, [_member(schema, key, member, key in required) for key, member in members.items()]
    for key, member in members.items():
        inner = _resolved(schema, member)
        yield from _fields(schema, inner.get("items", inner), f"{name}.{key}" if name else key)


def _member(schema: Schema, name: str, member: Schema, required: bool) -> Field:
    resolved = _resolved(schema, member)
    words = member.get("description") or ("" if "$ref" in member else resolved.get("description", ""))
    return Field(name, _kind(resolved), required, as_html(words))


def _resolved(schema: Schema, shape: Schema) -> Schema:
    reference = shape.get("$ref", "")
    found: Schema = schema["components"]["schemas"][reference.rpartition("/")[2]] if reference else shape
    return found


def _kind(shape: Schema) -> str:
    """A type in a few words: "string, uuid", "integer, 0 to 2147483647", "string or null"."""
    if "anyOf" in shape:
        return " or ".join(_kind(choice) for choice in shape["anyOf"])
    if "enum" in shape:
        return " | ".join(map(str, shape["enum"]))
    words = [str(shape.get("type", "object"))]
    if shape.get("pattern") == r"^-?[0-9]+\.[0-9]{6}$":
        words = ["decimal string"]
    words += [shape["format"]] if "format" in shape else []
    words += [f"{shape['minimum']} to {shape['maximum']:,}"] if "maximum" in shape else []
    words += ["at least 1"] if shape.get("minimum") == 1 else []
    words += [f"at most {shape['maxLength']} characters"] if "maxLength" in shape else []
    words += [f"at most {shape['maxItems']:,}"] if "maxItems" in shape else []
    return ", ".join(words)


def as_html(text: str) -> SafeString:
    """A sentence of the description as HTML; text between backticks is code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()))))  # noqa: S308
