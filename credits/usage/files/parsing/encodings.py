"""The encoding and compression of a file, by its first bytes or by its name."""

from __future__ import annotations

import codecs
import io

from credits.usage.files.parsing.lines import Refused

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
# UTF-32's mark begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(head: bytes, named: str | None) -> str:
    """Returns the named encoding, else the one that these first bytes show, else UTF-8.

    Raises `Refused` for a name that is none.
    """
    if named is None:
        return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8-sig")
    try:
        name = codecs.lookup(named).name
        io.TextIOWrapper(io.BytesIO(), named)
    except LookupError:
        raise Refused(f"There is no encoding {named}.") from None
    # A mark at the beginning is no part of the first name.
    return "utf-8-sig" if name == "utf-8" else named
