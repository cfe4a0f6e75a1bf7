"""Numbered pages of any list, as finished words and links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.core.paginator import InvalidPage, Paginator

from sidekick.typed_numbers import whole_number

PAGE_SIZE = 20


@dataclass(frozen=True, slots=True)
class Pages:
    """One page among all. `numbers` are (label, link, is this page); a gap has no link.

    A page that doesn't exist is the first one, with a sentence in `errors` that repeats what was asked.
    """

    count: int
    number: int
    last: int
    first_row: str
    last_row: str
    total: str
    previous: str | None
    next: str | None
    numbers: list[tuple[str, str | None, bool]]
    errors: list[str]

    @classmethod
    def for_count(cls, count: int, asked: str, link: Callable[[int], str]) -> Pages:
        """`asked` is the page of the URL, as text; `link` returns the address of a page."""
        paginator = Paginator(range(count), PAGE_SIZE)
        errors = []
        try:
            page = paginator.page(number_of(asked))
        except InvalidPage:
            last = f"{paginator.num_pages:,}"
            errors = [f"There is no page {asked[:20]}: pages go from 1 to {last}. This is the first."]
            page = paginator.page(1)
        shown = paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
        return cls(
            count=count,
            number=page.number,
            last=paginator.num_pages,
            first_row=f"{page.start_index():,}",
            last_row=f"{page.end_index():,}",
            total=f"{count:,}",
            previous=link(page.number - 1) if page.number > 1 else None,
            next=link(page.number + 1) if page.number < paginator.num_pages else None,
            numbers=[(f"{n:,}", link(n), n == page.number) if isinstance(n, int) else (n, None, False) for n in shown],
            errors=errors,
        )

    @property
    def rows(self) -> slice:
        """The rows of the list that are on this page."""
        return slice((self.number - 1) * PAGE_SIZE, self.number * PAGE_SIZE)


def number_of(asked: str) -> int:
    """The number of a page in an address; 0 where there is none."""
    return whole_number(asked) or 0
