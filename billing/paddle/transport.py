"""The parts that we put into paddle-billing-client: time limits, JSON bodies, answers and errors."""

from __future__ import annotations

import json
import re
from typing import Any

import requests
from apiclient.error_handlers import BaseErrorHandler
from apiclient.request_formatters import BaseRequestFormatter
from apiclient.response import Response
from apiclient.response_handlers import BaseResponseHandler
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from billing.paddle.errors import PaddleFault

Entity = dict[str, Any]

WORD = re.compile(r"[A-Za-z0-9_.-]{1,100}")
CONNECT_SECONDS = 5
CONNECTIONS = 32


class Wire(HTTPAdapter):
    """Waits longer for writes than for reads: charging a card takes its time."""

    def __init__(self, read_seconds: int, write_seconds: int) -> None:
        super().__init__(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=0)
        self.read_seconds, self.write_seconds = read_seconds, write_seconds

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        wait = self.read_seconds if request.method == "GET" else self.write_seconds
        return super().send(request, *args, **kwargs | {"timeout": (CONNECT_SECONDS, wait)})


class JsonBody(BaseRequestFormatter):  # type: ignore[misc]
    """The library's formatter mangles dates and sends nothing for an empty object."""

    content_type = "application/json"

    @classmethod
    def format(cls, data: Entity | None) -> str | None:
        return None if data is None else json.dumps(data)


class Answer(BaseResponseHandler):  # type: ignore[misc]
    """A success is an object with `data`. Anything else came from somewhere on the way, whatever its status says."""

    @staticmethod
    def get_request_data(response: Response) -> Entity:
        answer = _json(response)
        if "data" not in answer:
            raise PaddleFault("broken", unknown_outcome=True)
        return answer


class ErrorAnswer(BaseErrorHandler):  # type: ignore[misc]
    """Paddle's own code and what it says about trying again; the library keeps neither."""

    @staticmethod
    def get_exception(response: Response) -> PaddleFault:
        status = response.get_status_code()
        answer = _json(response)
        error, meta = answer.get("error"), answer.get("meta")
        code = error.get("code") if isinstance(error, dict) else None
        if not 400 <= status < 500 or not _is_word(code):
            code = "too_many_requests" if status == 429 else "broken"
        request_id = meta.get("request_id") if isinstance(meta, dict) else None
        wait = response.get_original().headers.get("Retry-After", "")
        return PaddleFault(
            str(code),
            unknown_outcome=not 400 <= status < 500,
            retry_after=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else None,
            request_id=str(request_id) if _is_word(request_id) else "",
        )


def _json(response: Response) -> Entity:
    try:
        answer = response.get_json()
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {}


def _is_word(value: object) -> bool:
    """Returns whether a value may be logged."""
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def unanswered(cause: BaseException) -> PaddleFault:
    """No answer came. What never left us did not happen."""
    if not isinstance(cause, requests.RequestException):
        raise cause
    inner = cause.args[0] if cause.args else None
    if isinstance(cause, requests.ConnectTimeout) or isinstance(getattr(inner, "reason", None), NewConnectionError):
        return PaddleFault("unreachable")
    slow = isinstance(cause, requests.Timeout) or isinstance(inner, ReadTimeoutError)
    return PaddleFault("slow" if slow else "unreachable", unknown_outcome=True)
