"""Characters that nobody sees, and text that consists of them."""

from __future__ import annotations

import re

# Space, controls, format characters and fillers, but for tab and the ends of lines. Listed in escapes, because Python
# and PostgreSQL count different characters as space; SQL uses the same list (`sidekick.formatting`).
INVISIBLE = (
    r"\u0000-\u0008\u000b\u000c\u000e-\u0020\u007f-\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    r"\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff"
)
VISIBLE = re.compile(rf"[^\t\r\n{INVISIBLE}]")
# Without space, which means something between words, and controls, which nobody copies by accident.
HIDDEN = re.compile(rf"(?![\s\x00-\x1f\x7f-\x9f])[{INVISIBLE}]")


def trimmed(text: str) -> str:
    """Without white space around it; "" where nothing of it can be seen.

    Invisible characters between others stay: they join letters and pictures in many languages.
    """
    return text.strip() if VISIBLE.search(text) else ""


def without_hidden(text: str) -> str:
    """Without characters that are neither seen nor space nor controls, for identifiers: copying leaves them behind."""
    return HIDDEN.sub("", text)
