"""Links that work for an hour and for one thing: invoices and the customer portal."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlencode

VALID_SECONDS = 3600


def portal(base: str, customer_id: str, *, key: str) -> str:
    """Returns a link to the customer's page in the simulator's portal."""
    return signed(base, f"/portal/{customer_id}", key=key)


def signed(base: str, path: str, *, key: str, **more: str) -> str:
    """Returns an absolute link to `path` that is valid for an hour."""
    until = str(int(time.time()) + VALID_SECONDS)
    return f"{base}{path}?{urlencode({**more, 'until': until, 'signature': _signature(path, until, key)})}"


def is_valid(path: str, query: Mapping[str, str], *, key: str) -> bool:
    # The real clock: moving the simulated one must not end a link that was just made.
    until = query.get("until", "")
    if not (until.isascii() and until.isdigit() and int(until) > time.time()):
        return False
    return hmac.compare_digest(_signature(path, until, key).encode(), query.get("signature", "").encode())


def _signature(path: str, until: str, key: str) -> str:
    return hmac.digest(key.encode(), f"{path}?{until}".encode(), "sha256").hex()
