"""A small client of Sidekick's API for the backend: hold credits, make the call, settle the hold by the real usage.

Standard library only; copy it and change it. Every call may be sent again, because the API knows requests by their id.
The client retries a broken connection, a 429 and a 5xx, and raises any other error.

    sidekick = Sidekick("https://app.example.com", "sk_…")
    text = sidekick.metered(account, "claude-sonnet-4-5", call, input_tokens=1200, max_output_tokens=4096)
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
    """The API refused, and a retry will not help. `code` gives the reason, `problem` is the whole response."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem.get('status')} {problem.get('code')}: {problem.get('detail')}")
        self.code: str = problem.get("code", "")
        self.problem = problem


class InsufficientCredits(Refused):
    """Do not make the call. `available` and `required` are in credits."""

    @property
    def available(self) -> Decimal:
        return Decimal(self.problem["available"])

    @property
    def required(self) -> Decimal:
        return Decimal(self.problem["required"])


class Unreachable(Exception):
    """No response after all tries. The request may have arrived; sending it again later is safe."""


@dataclass(frozen=True)
class Hold:
    """Credits reserved for one call."""

    id: str
    amount: Decimal
    expires_at: datetime


@dataclass(frozen=True)
class Usage:
    """The tokens of one call."""

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
        """Hold credits, make the call, report its usage, and return its text.

        `call` returns a text and its usage. Raises `InsufficientCredits` before the call is made. Errors of `call` are
        raised after the hold was released.
        """
        request_id = new_request_id()
        hold = self.hold(account, request_id, model, input_tokens, max_output_tokens)
        started = datetime.now(UTC)
        try:
            text, usage = call()
        except BaseException:
            # A hold that is not released expires by itself, and the error of the call is the one to see.
            with suppress(Refused, Unreachable):
                self.release(hold)
            raise
        self.report(account, request_id, model, started, usage, hold)
        return text

    def hold(self, account: str, request_id: str, model: str, input_tokens: int, max_output_tokens: int) -> Hold:
        call = {"account": account, "request_id": request_id, "model": model}
        tokens = {"input_tokens": input_tokens, "max_output_tokens": max_output_tokens}
        held = self._ask("POST", "/holds", {**call, **tokens})
        return Hold(held["id"], Decimal(held["amount"]), datetime.fromisoformat(held["expires_at"]))

    def release(self, hold: Hold) -> None:
        self._ask("DELETE", f"/holds/{hold.id}")

    def report(
        self, account: str, request_id: str, model: str, occurred_at: datetime, usage: Usage, hold: Hold | None = None
    ) -> None:
        """Report usage, which settles the hold. Raises `Refused` when the event is rejected."""
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
        raise Unreachable(f"{method} {path}: no response after {TRIES} tries")

    def _ask_once(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            text = response.read()
        return json.loads(text) if text else None


def new_request_id() -> str:
    """Returns an id of milliseconds and random digits. Ids that grow with time are stored 2.5 times faster."""
    return f"req_{time.time_ns() // 1_000_000:012x}{uuid.uuid4().hex[:20]}"


def _wait(retry_after: str, otherwise: float) -> float:
    """Returns seconds. `Retry-After` is a number of seconds from our server, but a proxy may send a date."""
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
