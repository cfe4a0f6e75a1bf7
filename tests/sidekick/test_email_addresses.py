from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from sidekick.email_addresses import is_same_mailbox, normalised

ALICE = "alice@example.com"
SPELLINGS = [
    "Alice@Example.COM",
    "  alice@example.com\n",
    "\u00a0alice@example.com\u3000",
    "al\u200bice@example.com",
    "\ufeffalice@exam\u00adple.com",
    "alice\u2060@example.com\u200e",
    "alice@example\u3002com",
    "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
    "alice@ｅxample.com",
    "ali\uffa0ce@example.com",
    "alice@\U000e0041example.com",
]


@pytest.mark.parametrize("typed", SPELLINGS)
def test_every_spelling_is_one_address(typed: str) -> None:  # A1
    assert normalised(typed) == ALICE


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("max@Bücher.example", "max@xn--bcher-kva.example"),
        ("max@xn--bcher-kva.example", "max@xn--bcher-kva.example"),
        # Two domains, which an older standard took for one.
        ("max@straße.example", "max@xn--strae-oqa.example"),
        ("max@strasse.example", "max@strasse.example"),
        ("max@AB--cd.example", "max@ab--cd.example"),
    ],
)
def test_a_domain_has_its_registered_form(typed: str, stored: str) -> None:
    assert normalised(typed) == stored


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "like name@example.com"),
        ("alice", "like name@example.com"),
        ("@example.com", "like name@example.com"),
        ("alice@", "like name@example.com"),
        ("a@b@example.com", "like name@example.com"),
        ("alice..x@example.com", "like name@example.com"),
        ("alice@example", "like name@example.com"),
        ("ali ce@example.com", "space"),
        ("alice@exam\nple.com", "space"),
        ("jörg@example.com", "“ö”"),
        ("alıce@example.com", "“ı”"),
        ("alice@exa_mple.com", "“exa_mple.com” is not a domain"),
        ("alice@-example.com", "“-example.com” is not a domain"),
        ("alice@☃.com", "“☃.com” is not a domain"),
        ("alice@xn--a.com", "“xn--a.com” is not a domain"),
        (f"{'a' * 60}@{'b' * 63}.{'c' * 63}.{'d' * 63}.com", "at most 254"),
        # Neither is repeated: no page could hold the first.
        ("\ud800@example.com", "like name@example.com"),
        ("alice\0@example.com", "like name@example.com"),
        ("alice@\ud800.com", "This is not a domain"),
    ],
)
def test_a_refusal_names_what_is_wrong(typed: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        normalised(typed)


@given(st.text(max_size=30), st.text(max_size=30))
def test_an_address_that_is_normalised_stays_so(name: str, domain: str) -> None:
    try:
        address = normalised(f"{name}@{domain}.com")
    except ValidationError:
        return
    assert normalised(address) == address
    assert address.isascii()
    assert address == address.lower()


@pytest.mark.parametrize("verified", ["alice@example.com", "Alice@EXAMPLE.com", "max@bücher.example"])
def test_case_and_the_spelling_of_a_domain_do_not_change_a_mailbox(verified: str) -> None:
    assert is_same_mailbox(verified)


@pytest.mark.parametrize(
    "verified", ["ａlice@example.com", "al\u200bice@example.com", "mi\u212ae@example.com", "nothing", " a@example.com"]
)
def test_another_name_is_another_mailbox_even_where_it_looks_the_same(verified: str) -> None:  # A9
    assert not is_same_mailbox(verified)
