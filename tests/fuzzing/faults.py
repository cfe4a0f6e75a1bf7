"""The faults that a response, and the log lines written meanwhile, can have."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from traceback import extract_tb
from urllib.parse import unquote, urlsplit

from django.conf import settings

from sidekick.logs import JsonLines, Refusals
from tests.fuzzing.exchange import HOST, Got, Sent

LINES = JsonLines()
REDIRECTS = ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url", "HX-Replace-Url")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Recorder(logging.Handler):
    """Keeps the records of one request."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(Refusals())
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def faults_of(sent: Sent, got: Got, records: list[logging.LogRecord]) -> Iterator[str]:
    if got.status >= 500:
        yield f"status {got.status}"
    yield from _of_content(sent, got)
    for name in REDIRECTS:
        address = got.header(name)
        if address and address != "false" and not stays_here(address):
            yield f"{name} leads to {address!r}"
    for name, value in got.headers:
        if CONTROL.search(name + value):
            yield f"a control character in {name}: {value!r}"
    for record in records:
        yield from _of_line(record)


def stays_here(address: str) -> bool:
    """Whether a browser that goes there stays at this host, also after it has decoded the path; or goes to Paddle."""
    if address.startswith((settings.PADDLE_API_URL, settings.SITE_URL + "/")):
        return True
    for read in (address, unquote(address)):
        # Browsers leave out tabs and ends of lines, and take a backslash for a slash.
        seen = CONTROL.sub("", read.strip()).replace("\\", "/")
        parts = urlsplit(seen)
        if parts.netloc not in {"", HOST} or parts.scheme not in {"", "http", "https"} or seen.startswith("//"):
            return False
        if parts.path.startswith("//"):
            return False
    return True


def _of_content(sent: Sent, got: Got) -> Iterator[str]:
    text = got.text
    if got.status >= 400 and sent.path.startswith(("/api/v1/", "/webhooks/")) and sent.method != "HEAD":
        if got.media_type != "application/problem+json":
            yield f"{got.status} of the API as {got.media_type or 'nothing'}"
        elif json.loads(got.body)["status"] != got.status:
            yield "a problem with another status"
    elif got.media_type == "text/html" and sent.method != "HEAD":
        if got.status >= 400 and not text:
            yield f"an empty page with status {got.status}"
        is_mail = sent.path.startswith("/dev/mail/")
        if "<html" in text and "css/tokens.css" not in text and not is_mail:
            yield f"a page with status {got.status} in another style"
        if (
            got.status >= 400
            and "<html" not in text
            and "HX-Retarget" not in dict(got.headers)
            and "HX-Request" not in sent.headers
        ):
            yield f"a bare page with status {got.status}"


def _of_line(record: logging.LogRecord) -> Iterator[str]:
    error = record.exc_info[1] if record.exc_info else None
    if record.levelno >= logging.ERROR or error:
        at = f", {type(error).__name__}: {str(error)[:200]} at {' < '.join(_frames(error))}" if error else ""
        yield f"logged as {record.levelname} by {record.name}: {record.getMessage()[:200]}{at}"
    try:
        json.loads(LINES.format(record))
    except Exception as error:  # whatever a line fails by, it is lost
        yield f"a line of {record.name} that is no JSON: {error!r}"


def _frames(error: BaseException) -> list[str]:
    """The innermost places of the exception that began it."""
    while error.__cause__:
        error = error.__cause__
    frames = extract_tb(error.__traceback__)[::-1][:6]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}" for frame in frames]
