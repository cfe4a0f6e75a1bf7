"""A dry run of recording: what it would do, without doing it (M10)."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

from credits.usage import pricing, storing
from credits.usage.schemas import Event, Receipt


@dataclass(slots=True)
class DryRun:
    """Counts calls that follow each other as `recording.record` would. It reads only, and locks nothing.

    `totals` holds the number of new requests and their price in millionths of a credit, by account id. It keeps
    some 200 bytes a request, to know what a later call repeats.
    """

    totals: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    earlier: dict[bytes, bytes] = field(default_factory=dict)

    def record(self, events: Sequence[Event], *, max_age: timedelta) -> Receipt:
        """Returns the receipt that `recording.record` would give, for events without holds and accounts that exist."""
        receipt = Receipt()
        priced = pricing.price(events, max_age, timezone.now(), receipt) if events else []
        stored = storing.stored_contents(priced) if priced else {}
        for p in priced:
            key, content = _digest(p.key), _digest(p.content)
            known = key in self.earlier or p.key in stored
            if not known:
                self.earlier[key] = content
                receipt.accepted += 1
                self.totals[p.account_id][0] += 1
                self.totals[p.account_id][1] += p.micro
            elif p.content == stored.get(p.key) or content == self.earlier.get(key):
                receipt.repeat(p.position)
            else:
                storing.reject_conflict(p, receipt)
        receipt.rejected.sort(key=lambda rejected: rejected.index)
        return receipt


def _digest(value: tuple[object, ...]) -> bytes:
    return hashlib.sha256(repr(value).encode()).digest()[:16]
