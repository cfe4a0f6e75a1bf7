"""The forms of exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows that sum up many requests, from their `occurred_at` to the column `ends`, else for a day.

    That time and the values of `key` say what a row is about.
    """

    key: tuple[str, ...]
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """One form of an export. `steps` are the lists that its rows stand in, one inside the other."""

    columns: Mapping[str, str]
    steps: tuple[str, ...] = ()
    cached_inside: bool = False
    sums: Sums | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    about: str
    shapes: tuple[Shape, ...]
    # Reads the log of a session instead of rows.
    session: bool = False


ROWS = Shape({})  # A file of no known tool.
