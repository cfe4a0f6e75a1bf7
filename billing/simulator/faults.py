"""Faults of the API on demand, to see how the dashboard copes with them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

# Each with what the caller sees. `unanswered` is the worst: the call is done, then the connection is closed.
KINDS = {
    "closed": "The connection is closed, nothing is done",
    "unanswered": "It is done, then the connection is closed",
    "slow": "The answer takes its time",
    "too_many_requests": "429 with Retry-After",
    "error": "500 with JSON",
    "html": "200 with HTML",
    "bad_gateway": "502 with HTML",
}


@dataclass
class Fault:
    kind: str
    method: str
    path: str
    times: int
    seconds: float

    def matches(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in {"", method} and path.startswith(self.path)


class Faults:
    """Faults wait for calls they match, in the order they were added."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, kind: str, *, method: str = "", path: str = "/", times: int = 1, seconds: float = 10) -> None:
        """The next `times` calls of this method (any, if empty) whose path starts with `path` fail in this way.

        `seconds` is how long `slow` takes, and what `too_many_requests` says in Retry-After.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no fault {kind!r}: {', '.join(KINDS)}.")
        with self._lock:
            self.waiting.append(Fault(kind, method.upper(), path, times, seconds))

    def take(self, method: str, path: str) -> Fault | None:
        with self._lock:
            fault = next((one for one in self.waiting if one.matches(method, path)), None)
            if fault:
                fault.times -= 1
            # A fault that was used up goes from the panel.
            self.waiting = [one for one in self.waiting if one.times > 0]
            return fault

    def clear(self) -> None:
        with self._lock:
            self.waiting = []
