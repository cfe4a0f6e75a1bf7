"""Shares of a process's threads: not all of them may wait for the same slow thing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

_thread = threading.local()


def enter_thread() -> None:
    """Mark this thread as one that serves pages. Jobs and commands have no page to keep free."""
    _thread.serves_pages = True


class Share:
    """At most one in `one_in` of the threads that serve pages is inside at once, and at least one thread."""

    def __init__(self, one_in: int) -> None:
        self.one_in = one_in
        self.inside = 0
        self._lock = threading.Lock()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Yields whether there was a place; it is free again when the block ends, however it ends."""
        if not getattr(_thread, "serves_pages", False):
            yield True
            return
        with self._lock:
            taken = self.inside < max(settings.WEB_THREADS // self.one_in, 1)
            self.inside += taken
        try:
            yield taken
        finally:
            with self._lock:
                self.inside -= taken


# Paddle, Google and GitHub: a thread can do nothing about how long they take.
EXTERNAL_SERVICES = Share(one_in=2)
