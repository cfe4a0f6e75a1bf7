"""The API's description: `openapi.json`, and a page to read, made of it on the server: no script is needed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from sidekick.api.openapi import REFUSALS
from sidekick.web.etags import etag_of, has_seen

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
    """What the page says of one operation."""

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


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    etag = etag_of(json.dumps(_schema(), sort_keys=True))
    response = HttpResponseNotModified() if has_seen(request, etag) else JsonResponse(_schema())
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    context = {
        "title": "API",
        "tags": _tags(),
        "refusals": [Refused(refusal.status, code, _words(refusal.when)) for code, refusal in REFUSALS.items()],
        "base": f"{settings.SITE_URL}{settings.SPECTACULAR_SETTINGS['SCHEMA_PATH_PREFIX']}",
        "key_limit": settings.API_KEY_REQUESTS_A_MINUTE,
        "account_limit": settings.API_ACCOUNT_REQUESTS_A_MINUTE,
    }
    return render(request, "sidekick/api_docs.html", context)


@cache
def _schema() -> Schema:
    """Made once a process: it takes a tenth of a second, and anyone may ask."""
    generator = SchemaGenerator(urlconf=settings.ROOT_URLCONF)  # type: ignore[no-untyped-call]
    schema: Schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


@cache
def _tags() -> list[dict[str, Any]]:
    """The operations by tag, in the tags' order."""
    schema = _schema()
    operations = [
        (described["tags"][0], _operation(schema, path, method, described))
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
    ]
    return [
        {**tag, "operations": sorted((o for name, o in operations if name == tag["name"]), key=_reads)}
        for tag in schema["tags"]
    ]


def _reads(operation: Operation) -> bool:
    """What does something is read before what only looks."""
    return operation.method == "GET"


def _operation(schema: Schema, path: str, method: str, described: Schema) -> Operation:
    parameters = described.get("parameters", [])
    status, answer = next((s, a) for s, a in described["responses"].items() if s.startswith("2"))
    content = answer.get("content", {}).get("application/json", {})
    body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = _example(body)
    return Operation(
        id=described["operationId"],
        method=method.upper(),
        path=path,
        summary=described["summary"],
        words=[_words(paragraph) for paragraph in described["description"].split("\n\n")],
        callers=[CALLERS[name] for choice in described.get("security", []) for name in choice],
        parameters=[_parameter(p) for p in parameters if p["in"] in {"query", "path"}],
        headers=[_parameter(p) for p in parameters if p["in"] == "header"],
        body=list(_fields(schema, body.get("schema"))),
        curl=_curl(method, path, parameters, sent, described),
        python=_python(method, path, parameters, sent, described),
        status=status,
        answer=json.dumps(_example(content), indent=2, ensure_ascii=False) if content else "",
        answer_fields=list(_fields(schema, content.get("schema"))),
        refusals=list(_refusals(described)),
    )


def _refusals(described: Schema) -> Iterator[Refused]:
    for answer in described["responses"].values():
        for example in answer.get("content", {}).get("application/problem+json", {}).get("examples", {}).values():
            code = example["value"]["code"]
            yield Refused(example["value"]["status"], code, _words(REFUSALS[code].when))


def _parameter(parameter: Schema) -> Field:
    required = parameter.get("required", False)
    return Field(parameter["name"], _kind(parameter["schema"]), required, _words(parameter.get("description", "")))


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
    return Field(name, _kind(resolved), required, _words(words))


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


def _example(media: Schema) -> Any:
    return next((example["value"] for example in media.get("examples", {}).values()), None)


def _address(path: str, parameters: list[Schema]) -> str:
    """The address with the examples of its parameters in it."""
    query = {}
    for parameter in parameters:
        value = _example(parameter)
        if value is not None and parameter["in"] == "path":
            path = path.replace("{%s}" % parameter["name"], str(value))  # noqa: UP031
        elif value is not None and parameter["in"] == "query":
            query[parameter["name"]] = value
    return f"{settings.SITE_URL}{path}" + (f"?{urlencode(query, safe=':')}" if query else "")


def _curl(method: str, path: str, parameters: list[Schema], body: Any, described: Schema) -> str:
    address = shlex.quote(_address(path, parameters))
    parts = ["curl " + ("" if method in {"get", "post"} else f"-X {method.upper()} ") + address]
    if described.get("security"):
        parts.append('-H "Authorization: Bearer $SIDEKICK_KEY"')
    if body is not None:
        parts += [
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}",
        ]
    return " \\\n  ".join(parts)


def _python(method: str, path: str, parameters: list[Schema], body: Any, described: Schema) -> str:
    lines = ["import requests", "", f"answer = requests.{method}(", f'    "{_address(path, parameters)}",']
    if described.get("security"):
        lines.append('    headers={"Authorization": f"Bearer {key}"},')
    if body is not None:
        written = json.dumps(body, indent=4, ensure_ascii=False).replace(": null", ": None").replace("\n", "\n    ")
        lines.append(f"    json={written},")
    lines += ["    timeout=10,", ")", "answer.raise_for_status()"]
    return "\n".join(
        lines + (["print(answer.json())"] if method != "delete" and "204" not in described["responses"] else [])
    )


def _words(text: str) -> SafeString:
    """A sentence of the description as HTML: what stands between backticks is code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split()))))  # noqa: S308
