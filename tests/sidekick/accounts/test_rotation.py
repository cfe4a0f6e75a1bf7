"""Refresh tokens in real requests: tabs of one browser, answers that get lost, a cookie that was copied (A2, A6)."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from django.test import Client

from sidekick.accounts import tokens
from sidekick.accounts.models import DeviceSession, User
from sidekick.serving.environ import ARRIVED
from tests.sidekick.accounts.conftest import NOON

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

PassTime = Callable[..., datetime]
SignIn = Callable[[Client, User], None]
POLL = {"Sidekick-Poll": "1"}
OUT = "AnonymousUser"
MINUTE = 60


def ask(client: Client, *, poll: bool = False) -> str:
    """Returns who the server says it is."""
    answer: str = client.get("/test/who", headers=POLL if poll else {}).json()["user"]
    return answer


def same_jar(client: Client) -> Client:
    """Returns another holder of the same cookies: a tab whose request leaves now, a lost answer, or a thief."""
    other = Client()
    other.cookies.update(client.cookies)
    return other


def why_ended() -> str:
    return DeviceSession.objects.get().revoked_because


@pytest.mark.parametrize("used_by", [None, "page", "poll"])
@pytest.mark.parametrize(
    ("seconds", "goes_on_if_unused", "goes_on_if_used"),
    [(20, True, True), (30, True, True), (31, True, False), (9 * MINUTE, True, False), (11 * MINUTE, False, False)],
)
def test_a_refresh_whose_answer_was_lost_is_asked_for_again(
    client: Client,
    alice: User,
    sign_in: SignIn,
    pass_time: PassTime,
    seconds: int,
    goes_on_if_unused: bool,
    goes_on_if_used: bool,
    used_by: str | None,
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    answered = same_jar(client)
    assert ask(answered) == alice.email
    if used_by:
        assert ask(answered, poll=used_by == "poll") == alice.email
    pass_time(seconds=seconds)
    goes_on = goes_on_if_used if used_by else goes_on_if_unused
    assert ask(client) == (alice.email if goes_on else OUT)
    assert why_ended() == ("" if goes_on else DeviceSession.Ended.REUSE)
    if goes_on:
        pass_time(days=1)
        assert ask(client) == alice.email, "the second answer is as good as the first"


def test_a_successor_that_was_refreshed_itself_was_used(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    answered = same_jar(client)
    ask(answered)
    pass_time(minutes=6)
    ask(answered)
    pass_time(seconds=1)
    assert ask(client) == OUT
    assert why_ended() == DeviceSession.Ended.REUSE


def test_a_second_successor_is_logged_by_ids_only(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, caplog: pytest.LogCaptureFixture
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    tab = same_jar(client)
    with caplog.at_level(logging.INFO, logger="sidekick.accounts"):
        ask(client)
        assert caplog.text == ""
        ask(tab)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert str(DeviceSession.objects.get().id) in caplog.text
    assert str(alice.id) in caplog.text
    assert alice.email not in caplog.text
    assert tab.cookies[tokens.REFRESH_COOKIE].value not in caplog.text


def test_a_third_request_with_a_spent_token_is_served_but_gets_no_tokens(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    """The window counts from the last handout: a browser that lost an answer may come back with three tabs."""
    sign_in(client, alice)
    pass_time(minutes=6)
    ask(same_jar(client))
    pass_time(minutes=9)
    late = same_jar(client)
    assert ask(client) == alice.email
    pass_time(seconds=30)
    before = DeviceSession.objects.values().get()
    response = late.get("/test/who")
    assert response.json()["user"] == alice.email
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]
    assert DeviceSession.objects.values().get() == before
    pass_time(seconds=1)
    assert ask(late) == OUT
    assert why_ended() == DeviceSession.Ended.REUSE


@pytest.mark.parametrize("first", ["elder", "younger"])
def test_of_two_successors_one_goes_on_and_the_other_ends_the_session(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, caplog: pytest.LogCaptureFixture, first: str
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    other = same_jar(client)
    assert (ask(client), ask(other)) == (alice.email, alice.email)
    one, two = (client, other) if first == "elder" else (other, client)
    pass_time(minutes=6)
    assert ask(one) == alice.email
    assert ask(two) == OUT, "not even within the window"
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]
    assert why_ended() == DeviceSession.Ended.REUSE
    assert ask(one) == OUT


def test_three_tabs_at_a_time_are_all_served_and_the_browser_stays_signed_in(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    for last in (0, 1, 2):
        pass_time(minutes=6)
        tabs = [same_jar(client) for _ in range(3)]
        assert [ask(tab) for tab in tabs] == [alice.email] * 3
        # The browser keeps the cookies of the answer that came last; the third set none.
        client.cookies.update(tabs[min(last, 1)].cookies)
    assert why_ended() == ""


@pytest.mark.parametrize("seconds", [20, 4 * MINUTE])
def test_a_tab_that_refreshes_during_an_upload_does_not_end_the_session(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, seconds: int
) -> None:  # A6
    sign_in(client, alice)
    upload, arrived = same_jar(client), pass_time(minutes=6)
    pass_time(seconds=1)
    assert [ask(client), ask(client)] == [alice.email] * 2
    pass_time(seconds=seconds)
    upload.defaults[ARRIVED] = arrived  # type: ignore[assignment]
    assert (ask(upload), why_ended()) == (alice.email, "")
    client.cookies.update(upload.cookies)
    pass_time(minutes=6)
    assert ask(client) == alice.email


def test_an_upload_with_a_token_that_was_spent_before_ends_the_session(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    pass_time(minutes=6)
    thief = same_jar(client)
    assert [ask(client), ask(client)] == [alice.email] * 2
    thief.defaults[ARRIVED] = pass_time(seconds=31)  # type: ignore[assignment]
    assert ask(thief) == OUT
    assert why_ended() == DeviceSession.Ended.REUSE


def test_two_tabs_at_every_refresh_go_on_for_thirty_generations(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    chance = random.Random(5)
    sign_in(client, alice)
    for _ in range(30):
        pass_time(minutes=6)
        tabs = [same_jar(client), same_jar(client)]
        chance.shuffle(tabs)
        for tab in tabs:
            assert ask(tab, poll=chance.random() < 0.3) == alice.email
            pass_time(seconds=chance.choice([0, 1, 20]))
        chance.shuffle(tabs)
        for tab in tabs:
            client.cookies.update(tab.cookies)
        for _ in range(chance.randrange(3)):
            assert ask(client) == alice.email
    assert DeviceSession.objects.get().revoked_at is None


def test_polls_alone_do_not_prolong_a_session(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    sign_in(client, alice)
    for _ in range(13):
        pass_time(days=1)
        assert ask(client, poll=True) == alice.email
        assert ask(client, poll=True) == alice.email, "with the access token of the poll before"
    assert DeviceSession.objects.get().last_seen == NOON
    pass_time(days=1)
    assert ask(client, poll=True) == OUT


def test_a_click_prolongs_also_with_the_access_token_of_a_poll(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    """A page that polls gets nearly every token with a poll; its owner clicks daily and must stay signed in."""
    sign_in(client, alice)
    for _ in range(30):
        pass_time(days=1)
        ask(client, poll=True)
        now = pass_time(minutes=1)
        assert ask(client) == alice.email
        assert DeviceSession.objects.get().last_seen == now
    pass_time(days=13, hours=23)
    assert ask(client) == alice.email, "the cookie lives as long as the session"


class Act(NamedTuple):
    """`at` is in seconds after the owner's own request of this round, which refreshes."""

    at: int
    poll: bool = False
    by_thief: bool = True


POLLS = [Act(at, poll=True) for at in range(-60, 60, 20)]
STRATEGIES = {
    "just before": [Act(-1)],
    "long before": [Act(-4 * MINUTE)],
    "at once": [Act(0)],
    "five seconds later": [Act(5)],
    "at the end of the window": [Act(29)],
    "nine minutes later": [Act(9 * MINUTE)],
    "twice at once": [Act(0), Act(0)],
    "twice before": [Act(-2), Act(-1)],
    "in every gap": [Act(at) for at in (-300, -60, -1, 0, 5, 29, 60, 300, 540)],
    "polls, and takes the successor when there is one": [*POLLS, Act(5)],
    "only polls": POLLS,
}
STRATEGIES |= {
    f"polls {name}": [Act(act.at, poll=True) for act in acts]
    for name, acts in STRATEGIES.items()
    if not any(act.poll for act in acts)
}
OWNER = {"looks once": [Act(0, by_thief=False)], "goes on": [Act(0, by_thief=False), Act(2, by_thief=False)]}


def side_by_side(owner: Client, rounds: Iterable[list[Act]], pass_time: PassTime) -> tuple[int | None, int | None]:
    """Returns the round in which the thief was first handed a refresh token, and that in which the session ended.

    A round takes 20 minutes. The thief has the refresh token alone, and takes all that it can get each time.
    """
    thief, start = same_jar(owner), pass_time(minutes=20)
    taken = None
    for number, acts in enumerate(rounds):
        for act in sorted(acts, key=lambda act: (act.at, act.by_thief)):
            then = start + timedelta(minutes=20 * number, seconds=act.at)
            pass_time(seconds=(then - pass_time()).total_seconds())
            if act.by_thief:
                thief.cookies.pop(tokens.ACCESS_COOKIE, None)
            response = (thief if act.by_thief else owner).get("/test/who", headers=POLL if act.poll else {})
            if why_ended():
                return taken, number
            if act.by_thief and tokens.REFRESH_COOKIE in response.cookies and taken is None:
                taken = number
    return taken, None


@pytest.mark.parametrize("owner", OWNER)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_copied_cookie_ends_the_session_within_two_generations(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime, strategy: str, owner: str
) -> None:  # A6
    sign_in(client, alice)
    taken, ended = side_by_side(client, [OWNER[owner] + STRATEGIES[strategy]] * 7, pass_time)
    assert why_ended() == DeviceSession.Ended.REUSE
    assert ended is not None
    assert ended <= (taken or 0) + 1


def test_a_copied_cookie_ends_the_session_whenever_the_thief_comes(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6
    moments = (-540, -300, -60, -31, -29, -5, -1, 0, 0, 1, 5, 29, 31, 60, 300, 540)
    for seed in range(60):
        chance = random.Random(seed)
        DeviceSession.objects.all().delete()
        sign_in(client, alice)
        rounds = [
            chance.choice(list(OWNER.values()))
            + [Act(at, poll=chance.random() < 0.4) for at in chance.choices(moments, k=chance.randint(1, 4))]
            for _ in range(7)
        ]
        taken, ended = side_by_side(client, rounds, pass_time)
        assert why_ended() == DeviceSession.Ended.REUSE, seed
        assert ended is not None, seed
        assert ended <= (taken or 0) + 1, seed


def test_refresh_tokens_of_the_release_before_go_on(
    client: Client, alice: User, sign_in: SignIn, pass_time: PassTime
) -> None:  # A6 O5
    """A row without the columns' values, and an access token that doesn't name its generation."""
    sign_in(client, alice)
    first = tokens.BACKEND.decode(client.cookies[tokens.ACCESS_COOKIE].value)
    first.pop("gen", None)
    client.cookies[tokens.ACCESS_COOKIE] = tokens.BACKEND.encode(first)
    assert ask(client) == alice.email
    pass_time(minutes=6)
    spent = same_jar(client)
    assert ask(client) == alice.email
    # As that release leaves a row it has refreshed: nobody knows whether the successor was used.
    DeviceSession.objects.update(unused_jti=None)
    pass_time(seconds=29)
    assert ask(spent) == alice.email, "a second tab"
    pass_time(minutes=6)
    assert ask(client) == alice.email
    DeviceSession.objects.update(unused_jti=None)
    spent = same_jar(client)
    pass_time(minutes=6)
    assert ask(client) == alice.email
    DeviceSession.objects.update(unused_jti=None)
    pass_time(seconds=31)
    assert ask(spent) == OUT, "whether it was used is not known, so it counts as used"
