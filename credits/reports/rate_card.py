"""The purchase power of one credit on each model, for the pricing page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from credits.models import ModelPrice

# A question of a page, and an answer of half a page.
TYPICAL_INPUT, TYPICAL_OUTPUT = 1_000, 300
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class CreditBuys:
    """Tokens of one kind, or typical requests, that one credit pays; None where they are free."""

    model: str
    input_tokens: int | None
    output_tokens: int | None
    requests: Decimal | None


def what_a_credit_buys(now: datetime) -> list[CreditBuys]:
    """Returns a line for each model with a price at `now`, the one of most requests first, in one query."""
    newest = ModelPrice.objects.filter(valid_from__lte=now).order_by("model_id", "-valid_from").distinct("model_id")
    lines = [_line(name, *prices) for name, *prices in newest.values_list("model__name", "input", "output")]
    return sorted(lines, key=lambda line: (line.requests is not None, -(line.requests or 0), line.model))


def _line(model: str, price_in: Decimal, price_out: Decimal) -> CreditBuys:
    request = price_in * TYPICAL_INPUT + price_out * TYPICAL_OUTPUT
    requests = MILLION / request if request else None
    if requests is not None:
        # Below ten the first decimal says more than the whole number would.
        requests = requests.quantize(Decimal("0.1") if requests < 10 else Decimal(1), ROUND_DOWN)
    return CreditBuys(model, _tokens(price_in), _tokens(price_out), requests)


def _tokens(price: Decimal) -> int | None:
    return int(MILLION / price) if price else None
