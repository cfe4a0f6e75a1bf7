"""The price book, read for one call: what requests cost (M1, M6)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from credits.models import ModelPrice

# Prices are for a million tokens, and amounts are counted in millionths of a credit while they are whole numbers.
MILLION = 1_000_000


@dataclass(slots=True)
class Versions:
    """A model's prices by start, oldest first, in millionths of a credit per million tokens.

    Each price is (input, output, cache read, cache write).
    """

    model_id: int
    starts: list[datetime] = field(default_factory=list)
    prices: list[tuple[int, int, int, int]] = field(default_factory=list)

    def at(self, moment: datetime) -> tuple[int, int, int, int] | None:
        """Returns the prices of the version that is valid then; None before the first."""
        place = bisect_right(self.starts, moment)
        return self.prices[place - 1] if place else None


def versions_of(names: Collection[str]) -> dict[str, Versions]:
    """Returns every version of the named models, by name, in one query. Models without a price are left out."""
    found: dict[str, Versions] = {}
    rows = ModelPrice.objects.filter(model__name__in=names).order_by("valid_from")
    for name, model_id, start, *prices in rows.values_list(
        "model__name", "model_id", "valid_from", "input", "output", "cache_read", "cache_write"
    ):
        versions = found.setdefault(name, Versions(model_id))
        versions.starts.append(start)
        price_in, price_out, price_read, price_write = (int(price * MILLION) for price in prices)
        versions.prices.append((price_in, price_out, price_read, price_write))
    return found


def rounded(exact: int) -> int:
    """Returns millionths of a credit, from tokens times prices: rounded once, half up (M6)."""
    return (exact + MILLION // 2) // MILLION


def in_credits(micro: int) -> Decimal:
    """Returns millionths of a credit as credits."""
    return Decimal(micro).scaleb(-6)
