"""Polling, by a page or a program: 304 as long as nothing changed, and never when something did (C10)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from credits.ledger import grants, holds, periods
from credits.models import Grant, Hold, Plan
from credits.usage import recording
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import ServiceKey, User
from tests.credits.books import NOW, event, use

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SignIn = Callable[[Client, User], None]
Change = Callable[[User], object]
BALANCE = "/dashboard/credits/balance"
API = ["/api/v1/credits", "/api/v1/usage", "/api/v1/usage/models"]
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
def program(alice: User) -> Client:
    access = device_sessions.start(alice, ip="127.0.0.1", user_agent="tests").access
    return Client(headers={"Authorization": f"Bearer {access}"})


def poll(client: Client, path: str, tag: str, **headers: str) -> Any:
    return client.get(path, headers={"If-None-Match": tag, "Sidekick-Poll": "1", **headers})


def tag_of(client: Client, path: str) -> str:
    tag: str = client.get(path).headers["ETag"]
    return tag


def hold(user: User) -> Hold:
    return holds.reserve(user.id, request_id="r", model="claude-haiku-4-5", input_tokens=0, max_output_tokens=10_000)


def free_request(user: User) -> object:
    return recording.record([event(user, "free", input_tokens=0, output_tokens=0)])


def late_request(user: User) -> object:
    return recording.record([event(user, "late", occurred_at=NOW - 6 * DAY)])


def courtesy(user: User) -> Grant:
    return grants.grant(user.id, Decimal(5), kind=Grant.Kind.COURTESY, source_key="gift")


def void(user: User) -> object:
    given = Grant.objects.get(account=user, kind=Grant.Kind.ALLOCATION)
    return grants.void(given, Decimal(1), source_key="void", reason="test")


def renamed_plan(user: User) -> object:
    return Plan.objects.filter(slug="free").update(name="Gratis")


CHANGES: dict[str, Change] = {
    "usage": lambda user: use(user, 1),
    "late usage": late_request,
    "a grant": courtesy,
    "a void": void,
    "a hold": hold,
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_changed_is_304_and_a_change_is_not(
    browser: Client, program: Client, alice: User, change: str, clock: time_machine.Traveller
) -> None:
    use(alice, 2, now=NOW - SECOND)
    page_tag, api_tag = tag_of(browser, BALANCE), tag_of(program, API[0])
    for _ in range(2):
        clock.shift(1)
        for client, path, tag in ((browser, BALANCE, page_tag), (program, API[0], api_tag)):
            answer = poll(client, path, tag)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["ETag"] == tag
    CHANGES[change](alice)
    assert poll(browser, BALANCE, page_tag).status_code == 200
    assert poll(program, API[0], api_tag).status_code == 200


@pytest.mark.parametrize("path", API[1:])
@pytest.mark.parametrize("change", [free_request, late_request, lambda user: use(user, 1)])
def test_a_list_changes_with_every_request_even_a_free_one(
    program: Client, alice: User, path: str, change: Change
) -> None:
    use(alice, 2, now=NOW - SECOND)
    tag = tag_of(program, path)
    assert poll(program, path, tag).status_code == 304
    change(alice)
    assert poll(program, path, tag).status_code == 200


def test_a_period_that_ends_by_the_clock_is_a_change(
    browser: Client, program: Client, alice: User, clock: time_machine.Traveller
) -> None:
    use(alice, 2, now=NOW - SECOND)
    tags = {path: tag_of(program, path) for path in API}
    page_tag = tag_of(browser, BALANCE)
    # Browser and program sign in anew, because their access tokens have expired.
    clock.move_to(NOW + 22 * DAY)
    access = device_sessions.start(alice, ip="127.0.0.1", user_agent="t").access
    later = Client(headers={"Authorization": f"Bearer {access}"})
    for path, tag in tags.items():
        assert poll(later, path, tag).status_code == 200
    pair = device_sessions.start(alice, ip="127.0.0.1", user_agent="t")
    browser.cookies[tokens.ACCESS_COOKIE] = pair.access
    assert poll(browser, BALANCE, page_tag).status_code == 200


def test_a_hold_that_lapses_by_the_clock_is_a_change(
    program: Client, alice: User, clock: time_machine.Traveller, settings: Any
) -> None:
    settings.HOLD_LIFETIME = timedelta(minutes=2)
    hold(alice)
    tag = tag_of(program, API[0])
    clock.shift(119)
    assert poll(program, API[0], tag).status_code == 304
    clock.shift(2)
    assert poll(program, API[0], tag).status_code == 200


def test_a_notice_that_comes_by_the_clock_is_a_change(browser: Client, alice: User, sign_in: SignIn) -> None:
    """No credits moved, yet an alert is due three days before the period's end."""
    starter = Plan.objects.get(slug="starter")
    with time_machine.travel(NOW - 28 * DAY, tick=False):
        for number, start in enumerate((NOW - 56 * DAY, NOW - 28 * DAY)):
            periods.open_paid(
                alice.id, plan=starter, starts_at=start, ends_at=start + 28 * DAY, source_key=f"p{number}", now=start
            )
    with time_machine.travel(NOW - 3 * DAY - SECOND, tick=False):
        sign_in(browser, alice)
        tag = tag_of(browser, BALANCE)
        assert poll(browser, BALANCE, tag).status_code == 304
    with time_machine.travel(NOW - 3 * DAY, tick=False):
        answer = poll(browser, BALANCE, tag)
        assert answer.status_code == 200
        assert 'data-notice="lapsing"' in answer.content.decode()


def test_the_page_brings_the_tag_of_its_cards(browser: Client, alice: User) -> None:
    use(alice, 2)
    html = browser.get("/dashboard/credits").content.decode()
    found = re.search(r'id="balance"[^>]*data-live-tag="([^"]+)"', html)
    assert found
    tag = found[1].replace("&quot;", '"')
    assert poll(browser, BALANCE, tag).status_code == 304


def test_a_304_says_when_it_looked(browser: Client, alice: User, clock: time_machine.Traveller) -> None:
    User.objects.filter(id=alice.id).update(time_zone="Europe/Berlin")
    tag = tag_of(browser, BALANCE)
    clock.shift(30)
    headers = poll(browser, BALANCE, tag).headers
    assert (headers["Sidekick-As-Of"], headers["Sidekick-Clock"]) == ("2026-05-10T14:08:00+02:00", "14:08:00")


def test_another_time_zone_is_another_page(browser: Client, alice: User) -> None:
    tag = tag_of(browser, BALANCE)
    User.objects.filter(id=alice.id).update(time_zone="Europe/Berlin")
    assert poll(browser, BALANCE, tag).status_code == 200


def test_a_renamed_plan_is_a_change_of_the_page(browser: Client, alice: User) -> None:
    tag = tag_of(browser, BALANCE)
    renamed_plan(alice)
    assert poll(browser, BALANCE, tag).status_code == 200


def test_a_304_renders_nothing_and_asks_three_queries(
    browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for the session, which can be ended at any moment, one for the balance, and one for the sums below it."""
    tag = tag_of(browser, BALANCE)
    with CaptureQueriesContext(connection) as captured:
        answer = poll(browser, BALANCE, tag)
    assert answer.status_code == 304
    assert len(captured) == 3
    assert answer.templates == []


def test_a_poll_prolongs_nothing(browser: Client, alice: User, clock: time_machine.Traveller) -> None:  # A6
    tag = tag_of(browser, BALANCE)
    seen = alice.device_sessions.get().last_seen
    clock.shift(600)
    answer = poll(browser, BALANCE, tag)
    assert answer.status_code == 304
    assert alice.device_sessions.get().last_seen == seen
    assert tokens.REFRESH_COOKIE in answer.cookies, "but it refreshes"


def test_a_session_that_ended_is_sent_to_sign_in_not_told_304(browser: Client, alice: User) -> None:  # A3
    tag = tag_of(browser, BALANCE)
    alice.device_sessions.update(revoked_at=NOW, revoked_because="signed_out")
    answer = poll(browser, BALANCE, tag, **{"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", API)
def test_one_account_s_tag_says_nothing_to_another(program: Client, alice: User, charlie: User, path: str) -> None:
    use(alice, 2)
    use(charlie, 3)
    tag = tag_of(program, path)
    access = device_sessions.start(charlie, ip="127.0.0.1", user_agent="t").access
    his = Client(headers={"Authorization": f"Bearer {access}"})
    assert poll(his, path, tag).status_code == 200


@pytest.mark.parametrize("path", API)
def test_answers_are_kept_by_who_asked_and_asked_for_again(program: Client, path: str) -> None:
    answer = program.get(path)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer.headers["Vary"]


@pytest.mark.parametrize("tag", ["", "nonsense", '"other"', 'W/"other", "third"', "W/"])
def test_a_tag_that_is_not_this_one_gets_the_answer(program: Client, tag: str) -> None:
    assert poll(program, API[0], tag).status_code == 200


def test_tags_may_come_as_a_list_and_strong(program: Client) -> None:
    tag = tag_of(program, API[0])
    assert poll(program, API[0], f'"other", {tag}').status_code == 304
    assert poll(program, API[0], tag.removeprefix("W/")).status_code == 304
    assert poll(program, API[0], "*").status_code == 304


def test_a_service_key_polls_too(alice: User) -> None:
    _, secret = ServiceKey.objects.issue("backend", scopes=["credits:read"])
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    path = f"{API[0]}?account={alice.id}"
    tag = tag_of(client, path)
    assert poll(client, path, tag).status_code == 304
    use(alice, 1)
    assert poll(client, path, tag).status_code == 200
