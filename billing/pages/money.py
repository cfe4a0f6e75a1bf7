"""Amounts of money as people read them."""

from __future__ import annotations

from billing.models import SYMBOLS

# Paddle counts these in whole units; every other currency it takes has hundredths.
WITHOUT_DECIMALS = {"CLP", "JPY", "KRW", "VND"}
MINUS = "−"


def written(amount: int, currency: str) -> str:
    """Minor units as $1,234.50, −€3.00, 1,500 JPY: all decimals of the currency, so that columns align."""
    if amount < 0:
        return MINUS + written(-amount, currency)
    if currency in WITHOUT_DECIMALS:
        figure = f"{amount:,}"
    else:
        whole, cents = divmod(amount, 100)
        figure = f"{whole:,}.{cents:02}"
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{figure}" if symbol else f"{figure} {currency}"
