"""Sorting the Models table by any column (C4). The choice lives in the URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from credits.reports.usage import ModelUsage

COLUMNS = {
    "model": "Model",
    "requests": "Requests",
    "input_tokens": "Input",
    "output_tokens": "Output",
    "cache_read_tokens": "Cache read",
    "cache_write_tokens": "Cache write",
    "credits": "Credits",
}
USUAL = "-credits"


@dataclass(frozen=True, slots=True)
class Sorting:
    column: str
    descending: bool
    errors: list[str]

    @classmethod
    def from_query(cls, asked: str) -> Sorting:
        """From the name of a column, after a minus where the largest comes first."""
        column = asked.removeprefix("-")
        if column in COLUMNS:
            return cls(column, asked.startswith("-"), [])
        return cls(USUAL.removeprefix("-"), True, ["There is no such column to sort by; this is by credits."])

    @property
    def parameter(self) -> str:
        return f"-{self.column}" if self.descending else self.column

    @property
    def usual(self) -> bool:
        return self.parameter == USUAL

    def apply(self, sums: list[ModelUsage]) -> list[ModelUsage]:
        # Names decide between equal figures, from A on, so that the order is always the same, and the chart's.
        by_name = sorted(sums, key=lambda each: each.model)
        return sorted(by_name, key=lambda each: getattr(each, self.column), reverse=self.descending)

    def headings(self, link: Callable[..., str]) -> list[dict[str, Any]]:
        """The headings of the columns, each a link that sorts by it. `link` makes one with the page's filters."""
        return [self._heading(key, label, link) for key, label in COLUMNS.items()]

    def _heading(self, key: str, label: str, link: Callable[..., str]) -> dict[str, Any]:
        # Numbers start with the largest, names with A; a second click turns the order round.
        down = not self.descending if key == self.column else key != "model"
        order = "descending" if self.descending else "ascending"
        return {
            "key": key,
            "label": label,
            "number": key != "model",
            "state": order if key == self.column else "",
            "link": link(sort=f"-{key}" if down else key),
        }
