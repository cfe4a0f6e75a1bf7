from __future__ import annotations

import pytest

from sidekick.typed_numbers import whole_number


@pytest.mark.parametrize(("typed", "number"), [("7", 7), (" 50 ", 50), ("\t50\xa0", 50), ("007", 7), ("0", 0)])
def test_digits_are_a_number(typed: str, number: int) -> None:  # B4
    assert whole_number(typed) == number


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "1e2",
        "0x10",
        "0b1",
        "1_0",
        "1,000",
        "1.000",
        "1 000",
        "+7",
        "-3",
        "5.5",
        "5.",
        "５０",
        "٣",
        "5²",
        "NaN",
        "7\n",
        "9" * 13,
    ],
)
def test_anything_else_is_none(typed: str) -> None:  # B4
    assert whole_number(typed) is None
