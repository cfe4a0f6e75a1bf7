"""Errors of the JSON API, all in one shape: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from django.http.request import UnreadablePostError
from rest_framework import exceptions, parsers
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"


class Problem(exceptions.APIException):
    """An error that the API returns on purpose.

    `code` is what programs read and never changes; `detail` is for people. `extra` members stand
    beside them in the body (`available="1.5"`), `headers` go with the answer.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.headers = headers or {}
        self.extra = extra


def body(status: int, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **extra}


def problem_response(status: int, code: str, detail: str, **extra: Any) -> JsonResponse:
    """A problem from a plain Django view or an error handler."""
    return JsonResponse(body(status, code, detail, **extra), status=status, content_type=MEDIA_TYPE)


def is_api(request: HttpRequest) -> bool:
    """Whether a request's errors are read by a program."""
    return request.path.startswith(("/api/", "/webhooks/"))


def handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. Returns None, which becomes a 500, for unforeseen exceptions only."""
    problem = _as_api_exception(exc)
    if problem is None:
        return None
    headers = {**getattr(problem, "headers", {})}
    if challenge := getattr(problem, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(problem, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return Response(_body_of(problem), status=problem.status_code, headers=headers, content_type=MEDIA_TYPE)


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound()
        case PermissionDenied():
            return exceptions.PermissionDenied()
        case RequestDataTooBig():
            return Problem(413, "too_large", f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes.")
        case SuspiciousOperation() | UnreadablePostError():
            return exceptions.ParseError()
    return None


def _body_of(problem: exceptions.APIException) -> dict[str, Any]:
    status = problem.status_code
    if isinstance(problem, Problem):
        return body(status, problem.code, str(problem.detail), **problem.extra)
    if isinstance(problem, exceptions.ValidationError):
        return body(status, "invalid", "Some fields are not valid.", errors=_errors_of(problem.detail))
    detail = problem.detail
    return body(status, str(getattr(detail, "code", problem.default_code)), str(detail))


def _errors_of(detail: Any, name: str = "") -> dict[str, list[str]]:
    """`{"email": ["…"], "events.3.model": ["…"]}`, however deep the serializer was."""
    errors: dict[str, list[str]] = {}
    for field, message in _flat(detail, name):
        errors.setdefault(field or "non_field_errors", []).append(message)
    return errors


def _flat(detail: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, dict):
        for key, inner in detail.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _flat(inner, f"{name}.{index}" if isinstance(inner, dict) and inner else name)
    else:
        yield name, str(detail)


class JSONParser(parsers.JSONParser):
    """DRF's answers 500 to a body that nests deeper than Python's stack."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("The body nests too deeply.") from error
