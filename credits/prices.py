"""What requests cost: the price book, read for one call (M1, M6)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from credits.models import ModelPrice

MICRO = 1_000_000


@dataclass(slots=True)
class Versions:
    """A model's prices by start, oldest first, in millionths of a credit per million tokens.

    Each price is (input, output, cache read, cache write).
    """

    model_id: int
    starts: list[datetime] = field(default_factory=list)
    prices: list[tuple[int, int, int, int]] = field(default_factory=list)

    def at(self, moment: datetime) -> tuple[int, int, int, int] | None:
        """The prices of the version that is valid then; None before the first."""
        place = bisect_right(self.starts, moment)
        return self.prices[place - 1] if place else None


def book(names: Collection[str]) -> dict[str, Versions]:
    """Every version of the named models, by name; a name that nothing is known of is left out. One query."""
    found: dict[str, Versions] = {}
    rows = ModelPrice.objects.filter(model__name__in=names).order_by("valid_from")
    for name, model_id, start, *prices in rows.values_list(
        "model__name", "model_id", "valid_from", "input", "output", "cache_read", "cache_write"
    ):
        versions = found.setdefault(name, Versions(model_id))
        versions.starts.append(start)
        price_in, price_out, price_read, price_write = (int(price * MICRO) for price in prices)
        versions.prices.append((price_in, price_out, price_read, price_write))
    return found


def rounded(exact: int) -> int:
    """Millionths of a credit, from as many times a million: rounded once, half up (M6)."""
    return (exact + MICRO // 2) // MICRO
