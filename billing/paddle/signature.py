"""Signatures of webhooks: the `Paddle-Signature` header over the raw bytes (P1).

`ts=<unix seconds>;h1=<hex>`, where h1 is HMAC-SHA256 of `<ts>:<body>` with the secret of the notification
destination. While a secret is being rotated Paddle sends several h1, and we hold several secrets; one match is enough.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

MAX_DIGITS = 12


class SignatureRefused(ValueError):
    """A body is not taken as Paddle's. `code` is for programs, the text for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def check(header: str, body: bytes, *, secrets: Sequence[str], now: datetime, max_age: timedelta) -> None:
    """Return when one of `secrets` signed these very bytes within `max_age` before or after `now`.

    Raises `SignatureRefused` with the code `unsigned` (no header, or one that can't be read), `wrong_signature` or
    `stale`. The age is looked at last: only who knows a secret learns anything from it. An empty secret matches
    nothing.
    """
    stamp, signatures = parts(header)
    text = stamp.encode() + b":" + body
    expected = [hmac.digest(secret.encode(), text, "sha256").hex().encode() for secret in secrets if secret]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures):
        raise SignatureRefused("wrong_signature", "No secret that is set here made this signature of this body.")
    age = now.timestamp() - int(stamp)
    if abs(age) > max_age.total_seconds():
        when = "ago" if age > 0 else "ahead of our clock"
        raise SignatureRefused("stale", f"This was signed {abs(age):.0f} seconds {when}.")


def parts(header: str) -> tuple[str, list[bytes]]:
    """Returns the time as it was written and every h1, in whatever order; parts of other names are Paddle's to add.

    Raises `SignatureRefused`: `unsigned`.
    """
    pairs = [part.strip().partition("=") for part in header.split(";")]
    stamps = [value for name, _, value in pairs if name == "ts"]
    signatures = [value.encode(errors="replace") for name, _, value in pairs if name == "h1"]
    if not header.strip():
        raise SignatureRefused("unsigned", "The header Paddle-Signature is missing.")
    if len(stamps) != 1 or not signatures:
        raise SignatureRefused("unsigned", "Paddle-Signature needs one ts and at least one h1.")
    [stamp] = stamps
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= MAX_DIGITS):
        raise SignatureRefused("unsigned", "The ts of Paddle-Signature must be whole seconds.")
    return stamp, signatures
