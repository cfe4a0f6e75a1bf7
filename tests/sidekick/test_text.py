from __future__ import annotations

import sys
import unicodedata

import pytest

from sidekick.text import trimmed, without_hidden

# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point, apart from category Cf.
IGNORABLE = [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180D, 0x180F, 0x3164, 0xFE00, 0xFE0F, 0xFFA0, 0xE0100]
BLANK = 0x2800  # a pattern of Braille without dots


def test_every_character_that_shows_nothing_counts_as_empty() -> None:
    invisible = {"Cc", "Cf", "Zs", "Zl", "Zp"}
    unseen = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in invisible]
    assert [hex(code) for code in [*unseen, *IGNORABLE, BLANK] if trimmed(chr(code))] == []


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u00ad\u2060", "\r\n\t\ufeff", "\u3164 \u2800", "\U000e0041"])
def test_text_of_invisible_characters_is_empty(text: str) -> None:
    assert trimmed(text) == ""


@pytest.mark.parametrize("text", ["0", "ü", "日本", "\u0301", "👩\u200d🔬", "\u200bx", "می\u200cخواهم", "❤\ufe0f"])
def test_what_can_be_seen_stays_as_it_was_written(text: str) -> None:
    assert trimmed(f" {text}\n") == text


def test_identifiers_lose_hidden_characters_and_keep_space() -> None:
    assert without_hidden("a\u200bl\u00adi\ufeffce smith\u2060") == "alice smith"
