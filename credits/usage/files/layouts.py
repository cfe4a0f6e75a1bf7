"""The layouts of exports: their columns, and the lists that their rows stand in."""

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
class Layout:
    """One layout of an export. `nested_in` names the lists that its rows stand in, from the outermost on."""

    columns: Mapping[str, str]
    nested_in: tuple[str, ...] = ()
    cached_inside: bool = False
    sums: Sums | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    about: str
    layouts: tuple[Layout, ...]
    # Reads the log of a session instead of rows.
    session: bool = False


PLAIN = Layout({})  # Of a file of no known tool: columns have the names of the fields.
