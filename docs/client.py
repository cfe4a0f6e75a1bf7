"""A small client of Sidekick's API for the backend: hold credits, make the call, settle it by what it really used.

Standard library only; copy it and change what you like. Every call here may be sent again, for request ids say what
was done already: a broken connection, a 429 and a 5xx are tried again, anything else is raised.

    sidekick = Sidekick("https://app.example.com", "sk_…")
    answer = sidekick.metered(account, "claude-sonnet-4-5", call, input_tokens=1200, max_output_tokens=4096)
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

TRIES = 5
TIMEOUT = 10.0
LONGEST_WAIT = 60.0


class Refused(Exception):
    """The API said no, and asking again will not help. `code` says why, `problem` is the whole answer."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('status')} {problem.get('code')}: {problem.get('detail')}")
        self.code: str = problem.get("code", "")
        self.problem = problem


class InsufficientCredits(Refused):
    """Don't make the call. `available` and `required` are credits."""

    @property
    def available(self) -> Decimal:
        return Decimal(self.problem["available"])

    @property
    def required(self) -> Decimal:
        return Decimal(self.problem["required"])


class Unreachable(Exception):
    """No answer after all tries. What was sent may have arrived; sending it again later is safe."""


@dataclass(frozen=True)
class Hold:
    """Credits promised to one call."""

    id: str
    amount: Decimal
    expires_at: datetime


@dataclass(frozen=True)
class Usage:
    """What a call used, in tokens."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


class Sidekick:
    """`url` is the dashboard's address, `key` a service key with `usage:write` and `holds:write`."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.key = key

    def metered(
        self,
        account: str,
        model: str,
        call: Callable[[], tuple[str, Usage]],
        *,
        input_tokens: int,
        max_output_tokens: int,
    ) -> str:
        """Make a call that is paid for: what it answers, after its usage was reported.

        `call` answers a text and what it used. Raises `InsufficientCredits` before the call is made, and whatever
        `call` raises, once the hold was released.
        """
        request_id = new_request_id()
        hold = self.hold(account, request_id, model, input_tokens, max_output_tokens)
        started = datetime.now(UTC)
        try:
            answer, usage = call()
        except BaseException:
            # A hold that can't be released lapses by itself; what the call raised says more.
            with suppress(Refused, Unreachable):
                self.release(hold)
            raise
        self.report(account, request_id, model, started, usage, hold)
        return answer

    def hold(self, account: str, request_id: str, model: str, input_tokens: int, max_output_tokens: int) -> Hold:
        wish = {"account": account, "request_id": request_id, "model": model}
        wish_tokens = {"input_tokens": input_tokens, "max_output_tokens": max_output_tokens}
        held = self._ask("POST", "/holds", {**wish, **wish_tokens})
        return Hold(held["id"], Decimal(held["amount"]), datetime.fromisoformat(held["expires_at"]))

    def release(self, hold: Hold) -> None:
        self._ask("DELETE", f"/holds/{hold.id}")

    def report(
        self, account: str, request_id: str, model: str, occurred_at: datetime, usage: Usage, hold: Hold | None = None
    ) -> None:
        """Settles the hold. Raises `Refused` when the event can't be stored."""
        event = {
            "request_id": request_id,
            "account": account,
            "model": model,
            "occurred_at": occurred_at.isoformat(),
            "hold": hold.id if hold else None,
            **asdict(usage),
        }
        receipt = self._ask("POST", "/usage", {"events": [event]})
        for rejected in receipt["rejected"]:
            raise Refused({"status": 200, **rejected})

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        for tried in range(TRIES):
            try:
                return self._ask_once(method, path, body)
            except urllib.error.HTTPError as error:
                if error.code != 429 and error.code < 500:
                    raise _refusal(error) from None
                wait = _wait(error.headers.get("Retry-After", ""), 2**tried)
            except (OSError, http.client.HTTPException):
                wait = float(2**tried)
            if tried + 1 < TRIES:
                time.sleep(wait)
        raise Unreachable(f"{method} {path}: no answer after {TRIES} tries")

    def _ask_once(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None


def new_request_id() -> str:
    """Grows with time, which makes storing it 2.5 times faster: milliseconds, then chance (as in a UUIDv7)."""
    return f"req_{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:20]}"


def _wait(retry_after: str, otherwise: float) -> float:
    """In seconds. Our server says so many; what stands in front of it may name a moment instead."""
    if retry_after.isdecimal():
        return min(float(retry_after), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(retry_after).astimezone(UTC)
    except (ValueError, OverflowError):
        return float(otherwise)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)


def _refusal(error: urllib.error.HTTPError) -> Refused:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = {"status": error.code, "code": "", "detail": error.reason}
    return InsufficientCredits(problem) if problem.get("code") == "insufficient_credits" else Refused(problem)
