"""Log lines that name no person: JSON in production, readable ones in development (O3).

A line says what happened, where in the code, and in which request or job. Nothing that a person typed, is called or
came from gets in: a view's name replaces the path, its type and place an exception's message, and the rest is searched
for addresses, tokens and query strings.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Any

from django.http import HttpRequest
from procrastinate import JobContext
from procrastinate.worker import Worker
from psycopg import Error as PostgresError
from pythonjsonlogger.json import JsonFormatter

ROOT = str(Path(__file__).parent.parent)
# A line carries these besides its message. Anything else in `extra` stays out, so that no call site can leak.
EXTRA = ("view", "method", "status", "milliseconds", "task", "outcome")
# A recursion without end would make a line of a thousand frames.
MOST_FRAMES = 40

# {"request_id": "…"} during a request, {"job": 7} during a job.
context: ContextVar[dict[str, Any]] = ContextVar("log_context")

jobs = logging.getLogger("sidekick.jobs")

# They run in this order: a token inside a URL is gone before its query string is looked at.
PATTERNS = [
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "[token]"),
    (re.compile(r"\b(?:sk|pdl)_[\w-]{8,}"), "[key]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 [token]"),
    (re.compile(r"://[^\s/@]+@"), "://[login]@"),
    (re.compile(r"[^\s\"'<>(){}\[\]=:,;/?&]+(?:@|%40)[^\s\"'<>(){}\[\]=:,;/?&]+"), "[email]"),
    (re.compile(r"(?<=[\w/])\?[^\s\"'<>)]*=[^\s\"'<>)]*"), ""),
]
ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)(?![\w:])")


class JsonLines(JsonFormatter):
    """{"time", "level", "logger", "message", "request_id" or "job", …, "error": {"type", "sqlstate", "at", …}}"""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = message_of(record)
        log_data.update(context_of(record))
        log_data.update({name: getattr(record, name) for name in EXTRA if hasattr(record, name)})
        if record.exc_info and record.exc_info[1]:
            log_data["error"] = error_of(record.exc_info[1])


class ReadableLines(logging.Formatter):
    """For a developer, whose data is made up: tracebacks stay whole."""

    def format(self, record: logging.LogRecord) -> str:
        found = context_of(record)
        place = " ".join(f"{name}={value}" for name, value in found.items())
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {message_of(record)}"
        line += f" [{place}]" if place else ""
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Refusals(logging.Filter):
    """A request that Django refused with 4xx is no error of ours: a warning of one line, without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True


async def in_job(call_next: Callable[[], Awaitable[Any]], job: JobContext, worker: Worker) -> Any:
    """Middleware of procrastinate: every line of a job carries its id, and its end is a line of its own."""
    token, started, outcome = context.set({"job": job.job.id}), time.perf_counter(), "failed"
    try:
        result = await call_next()
        outcome = "done"
        return result
    finally:
        took = round((time.perf_counter() - started) * 1000)
        task = job.job.task_name
        jobs.info("%s %s", task, outcome, extra={"task": task, "outcome": outcome, "milliseconds": took})
        context.reset(token)


def message_of(record: logging.LogRecord) -> str:
    """Returns the record's message without anything that its request brought along."""
    if record.name.startswith("django.security"):
        # Django quotes the part of the request that was wrong: its host, its origin, its fields.
        return f"Request refused: {record.name.removeprefix('django.security').lstrip('.') or 'security'}"
    message, args = str(record.msg), record.args
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest) and isinstance(args, tuple):
        # A path may hold an id or a code.
        paths = {request.path, request.get_full_path()}
        args = tuple(view_of(request) if arg in paths else arg for arg in args)
    message = message % args if args else message
    job = getattr(record, "job", None)
    if isinstance(job, dict):
        # procrastinate quotes a job's arguments.
        message = message.replace(str(job.get("call_string")), str(job.get("task_name")))
    return scrubbed(message)


def context_of(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the id of the request or job that a line belongs to."""
    found = context.get({})
    # Django logs some lines after our middleware has ended. They carry their request.
    request_id = getattr(getattr(record, "request", None), "request_id", None)
    if request_id:
        found = {"request_id": request_id}
    job = getattr(record, "job", None)
    return {**found, **({"job": job.get("id")} if isinstance(job, dict) else {})}


def view_of(request: HttpRequest) -> str:
    """Returns the name of the request's view. A path would name ids and codes."""
    match = request.resolver_match
    return match.view_name if match else "none"


def error_of(error: BaseException) -> dict[str, Any]:
    """Returns an exception as {"type", "sqlstate", "constraint", "at": [frames], "because": {…}}."""
    # The message stays out: it may quote anything, and PostgreSQL's quotes rows.
    found: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")}
    if isinstance(error, PostgresError):
        found["sqlstate"] = error.sqlstate
        found["constraint"] = error.diag.constraint_name
        if error.sqlstate is None:
            # Without a state no statement ran, so the message can quote none. It tells why nothing can be reached.
            found["message"] = scrubbed(str(error).partition("\n")[0])
    frames = extract_tb(error.__traceback__)[-MOST_FRAMES:]
    found["at"] = [f"{frame.filename.removeprefix(ROOT + '/')}:{frame.lineno} {frame.name}" for frame in frames]
    if cause := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        found["because"] = error_of(cause)
    return found


def scrubbed(text: str) -> str:
    """Returns the text without emails, tokens, keys, passwords in URLs, query strings and internet addresses."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return ADDRESS.sub(_without_address, text)


def _without_address(match: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(match[0].rstrip("."))
    except ValueError:
        return match[0]
    return "[address]"
