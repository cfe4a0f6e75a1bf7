"""The courier sends webhooks: signed, in the order of each customer's events, and again until they are taken."""

from __future__ import annotations

import hmac
import http.client
import random
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from billing.simulator.schemas.notifications import Delivery, NotificationSetting
from billing.simulator.schemas.times import iso
from billing.simulator.webhooks import deliveries

if TYPE_CHECKING:
    from billing.simulator.world import World

# Paddle waits five seconds for a response, and tries for three days.
ANSWER_WITHIN = 5.0
ATTEMPTS = 60


def sign(secret: str, body: bytes, ts: int) -> str:
    """Returns the header `Paddle-Signature` of a body sent at the Unix time `ts`."""
    signed = hmac.digest(secret.encode(), f"{ts}:".encode() + body, "sha256")
    return f"ts={ts};h1={signed.hex()}"


class Courier:
    """A thread that sends what waits. `pauses` are seconds after the first, second, … failure; the last one repeats."""

    def __init__(self, world: World, *, pauses: Sequence[float], seed: int | None = None) -> None:
        self.world = world
        self.pauses = pauses
        self.random = random.Random(seed)  # noqa: S311 - an order of webhooks is no secret
        self.awake = threading.Event()
        self._busy: set[str] = set()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=self._work, name="paddle-courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.awake.set()
        if self._thread:
            self._thread.join(ANSWER_WITHIN + 1)

    def deliver_all(self, timeout: float) -> int:
        """Send everything that waits, whatever its pause, each failing one once. Returns how many still wait."""
        until, failed = time.monotonic() + timeout, set[str]()
        while time.monotonic() < until:
            row = self._choose(at_once=True, but=failed)
            if row is not None:
                if not self._send(row):
                    failed.add(row["id"])
            elif not self._busy:
                break
            else:
                self._stop.wait(0.01)
        return len(self._waiting())

    def _work(self) -> None:
        while not self._stop.is_set():
            row = self._choose(at_once=False, but=set())
            if row is None:
                self.awake.wait(0.2)
                self.awake.clear()
            else:
                self._send(row)

    def _waiting(self) -> list[Delivery]:
        with self.world.lock:
            return [row for row in self.world.state.deliveries.rows() if row["left"] > 0]

    def _choose(self, *, at_once: bool, but: set[str]) -> Delivery | None:
        """Take the next delivery that nobody sends yet. `at_once` ignores the pauses after failures."""
        with self.world.lock:
            modes, waiting = self.world.state.memory.modes, self._waiting()
            lanes = {_lane(row) for row in waiting if row["id"] in self._busy}
            # A customer's webhooks keep their order: none of them passes another that waits or is being sent.
            free = []
            for row in waiting:
                if _lane(row) in lanes:
                    continue
                if not modes["shuffle"]:
                    lanes.add(_lane(row))
                if row["id"] not in but and (at_once or row["due"] <= time.time()):
                    free.append(row)
            if modes["hold"] or not free:
                return None
            chosen = self.random.choice(free) if modes["shuffle"] else free[0]
            self._busy.add(chosen["id"])
            return chosen

    def _send(self, row: Delivery) -> bool:
        try:
            with self.world.lock:
                state = self.world.state
                # The setting may have been deleted while the webhook waited.
                setting = state.settings.find(row["setting_id"])
                body = deliveries.body(state, row)
            # Without the lock: the receiver may call the API before it responds.
            answer = _post(setting, body) if setting else "The setting was deleted"
            with self.world.changing() as state:
                self._note(state.deliveries.get(row["id"]), answer, give_up=setting is None)
            return answer.startswith("2")
        finally:
            with self.world.lock:
                self._busy.discard(row["id"])

    def _note(self, row: Delivery, answer: str, *, give_up: bool) -> None:
        now = iso(self.world.state.now())
        row |= {"answer": answer, "last_attempt_at": now, "times_attempted": row["times_attempted"] + 1}
        if answer.startswith("2"):
            row |= {"left": row["left"] - 1, "status": "delivered", "delivered_at": now, "retry_at": None, "due": 0.0}
        elif give_up or row["times_attempted"] >= ATTEMPTS:
            row |= {"left": 0, "status": "failed", "retry_at": None}
        else:
            # The last pause repeats.
            pause = self.pauses[min(row["times_attempted"], len(self.pauses)) - 1]
            later = iso(self.world.state.now() + timedelta(seconds=pause))
            row |= {"status": "needs_retry", "due": time.time() + pause, "retry_at": later}


def _lane(row: Delivery) -> tuple[str, str]:
    return row["setting_id"], row["customer_id"]


def _post(setting: NotificationSetting, body: bytes) -> str:
    """Returns the status that came back within five seconds, or why none did. Redirects are not followed."""
    where, started = urlsplit(setting["destination"]), time.monotonic()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Paddle",
        "Paddle-Signature": sign(setting["endpoint_secret_key"], body, int(time.time())),
    }
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 80, timeout=ANSWER_WITHIN)
    try:
        with closing(connection):
            connection.request("POST", where._replace(scheme="", netloc="").geturl() or "/", body, headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    if time.monotonic() - started > ANSWER_WITHIN:
        return f"too late, {status}"
    return str(status)
