"""An example call of an operation, with curl and in Python."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

Schema = dict[str, Any]


def curl(method: str, path: str, parameters: list[Schema], body: Any, described: Schema) -> str:
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


def python(method: str, path: str, parameters: list[Schema], body: Any, described: Schema) -> str:
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


def example(media: Schema) -> Any:
    return next((example["value"] for example in media.get("examples", {}).values()), None)


def _address(path: str, parameters: list[Schema]) -> str:
    """The address with the examples of its parameters in it."""
    query = {}
    for parameter in parameters:
        value = example(parameter)
        if value is not None and parameter["in"] == "path":
            path = path.replace("{%s}" % parameter["name"], str(value))  # noqa: UP031
        elif value is not None and parameter["in"] == "query":
            query[parameter["name"]] = value
    return f"{settings.SITE_URL}{path}" + (f"?{urlencode(query, safe=':')}" if query else "")
