from __future__ import annotations

from io import BytesIO
from typing import NoReturn

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from pytest_django import Settings

from sidekick.accounts.models import User
from sidekick.accounts.stamps import stamp


def test_each_account_has_a_stamp_of_its_own(alice: User, charlie: User) -> None:
    stamps = {stamp.stamp_of(alice), stamp.stamp_of(charlie), stamp.stamp_of(AnonymousUser())}
    assert len(stamps) == 3
    assert stamp.stamp_of(alice) == stamp.stamp_of(User.objects.get(id=alice.id))
    assert str(alice.id) not in stamp.stamp_of(alice)


def test_a_page_is_anothers_only_while_somebody_is_signed_in(alice: User, charlie: User) -> None:
    mine, visitor = stamp.stamp_of(alice), AnonymousUser()
    assert not stamp.is_others(mine, alice)
    assert stamp.is_others(mine, charlie)
    assert stamp.is_others(stamp.VISITOR, alice)
    assert stamp.is_others("made up", alice)
    assert not stamp.is_others(None, alice)
    assert not stamp.is_others(mine, visitor)
    assert not stamp.is_others(stamp.VISITOR, visitor)


def test_a_new_key_leaves_open_pages_valid(alice: User, charlie: User, settings: Settings) -> None:
    before = stamp.stamp_of(alice)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "k" * 60, [settings.SECRET_KEY]
    assert stamp.stamp_of(alice) != before
    assert not stamp.is_others(before, alice)
    assert stamp.is_others(before, charlie)


@pytest.mark.parametrize(
    ("made", "sent"),
    [
        (lambda make: make.get("/"), None),
        (lambda make: make.get("/?account_stamp=a"), None),
        (lambda make: make.get("/", headers={"Sidekick-Account": "a"}), "a"),
        (lambda make: make.post("/", {"account_stamp": "a"}), "a"),
        (lambda make: make.post("/", {"account_stamp": "a"}, headers={"Sidekick-Account": "b"}), "b"),
        (lambda make: make.post("/", {}), None),
    ],
)
def test_a_request_tells_the_stamp_by_a_header_or_a_field(made: object, sent: str | None) -> None:
    assert stamp.sent_stamp(made(RequestFactory())) == sent  # type: ignore[operator]


def test_a_form_that_broke_off_is_refused(rf: RequestFactory) -> None:  # A12
    class Gone(BytesIO):
        def read(self, size: int | None = -1, /) -> NoReturn:
            raise OSError("The client went away.")

    request = WSGIRequest({**rf.post("/", {stamp.FIELD: "mine"}).META, "wsgi.input": Gone()})
    with pytest.raises(BadRequest):
        stamp.sent_stamp(request)
