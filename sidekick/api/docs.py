"""The API's description: `openapi.json`, and a page to read. The server makes it, so it needs no script."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from sidekick.api.openapi import REFUSALS
from sidekick.api.operations import Operation, Refused, Schema, as_html, describe
from sidekick.web.etags import etag_of, has_seen


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
        "refusals": [Refused(refusal.status, code, as_html(refusal.when)) for code, refusal in REFUSALS.items()],
        "base": f"{settings.SITE_URL}{settings.SPECTACULAR_SETTINGS['SCHEMA_PATH_PREFIX']}",
        "key_limit": settings.API_KEY_REQUESTS_A_MINUTE,
        "account_limit": settings.API_ACCOUNT_REQUESTS_A_MINUTE,
    }
    return render(request, "sidekick/api_docs.html", context)


@cache
def _schema() -> Schema:
    """Made once a process: it takes a tenth of a second, and anyone may ask."""
    generator = SchemaGenerator(urlconf=settings.ROOT_URLCONF)
    schema: Schema = generator.get_schema(request=None, public=True)
    return schema


@cache
def _tags() -> list[dict[str, Any]]:
    """The operations by tag, in the tags' order."""
    schema = _schema()
    operations = [
        (described["tags"][0], describe(schema, path, method, described))
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
    ]
    return [
        {**tag, "operations": sorted((o for name, o in operations if name == tag["name"]), key=_reads)}
        for tag in schema["tags"]
    ]


def _reads(operation: Operation) -> bool:
    """Sorts operations that change something before those that only read."""
    return operation.method == "GET"
