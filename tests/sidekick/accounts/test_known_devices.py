"""An account is emailed when someone signs in to it on a device that is not known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.core import signing
from django.test import Client

from sidekick.accounts import known_devices
from sidekick.accounts.models import DeviceSession, Letter, User
from tests.conftest import PASSWORD, make_user
from tests.post import delivered
from tests.sidekick.accounts.sign_in.test_adapter import CHROME, FIREFOX, log_in

pytestmark = pytest.mark.django_db
PassTime = Callable[..., datetime]


@pytest.fixture
def maya(alice: User) -> User:
    """She has signed in before, in Firefox."""
    log_in(Client(), alice)
    assert delivered() == []
    return alice


def subjects() -> list[str]:
    return [str(message.subject) for message in delivered()]


def test_the_first_session_of_an_account_is_no_news(client: Client) -> None:  # A4
    client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD}, REMOTE_ADDR="203.0.113.9")
    code = Letter.objects.get().text.split("\n    ")[1].split("\n")[0]
    assert client.post("/accounts/confirm-email/", {"code": code}).status_code == 302
    assert DeviceSession.objects.count() == 1
    assert not Letter.objects.filter(template="account/email/new_sign_in").exists()


def test_an_unknown_device_is_told_of(maya: User) -> None:  # A4
    log_in(Client(), maya, CHROME, "198.51.100.4")
    (message,) = delivered()
    assert (message.subject, message.to) == ("New sign-in to your Sidekick account", [maya.email])
    for words in ("Chrome on Mac", "198.51.100.4", "/dashboard/account/sessions"):
        assert words in str(message.body)


@pytest.mark.parametrize(("agent", "ip"), [(FIREFOX, "198.51.100.4"), (CHROME, "203.0.113.7")])
def test_the_same_browser_elsewhere_or_another_one_here_is_a_device_of_its_own(
    maya: User, agent: str, ip: str
) -> None:  # A4
    log_in(Client(), maya, agent, ip)
    assert subjects() == ["New sign-in to your Sidekick account"]


def test_a_device_is_known_by_address_and_browser_or_by_its_cookie(maya: User, client: Client) -> None:  # A4
    log_in(Client(), maya, FIREFOX.replace("132", "140"))
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1
    client.post("/accounts/logout")
    log_in(client, maya, CHROME, "192.0.2.77")
    assert len(subjects()) == 1


def test_the_cookie_speaks_for_the_accounts_that_were_here(maya: User, charlie: User, client: Client) -> None:  # A4
    log_in(Client(), charlie)
    for user in (maya, charlie, maya, charlie):
        client.post("/accounts/logout")
        log_in(client, user, CHROME, "198.51.100.4")
    assert sorted(message.to[0] for message in delivered()) == [maya.email, charlie.email]


@pytest.mark.parametrize("because", known_devices.ENDED_FROM_ELSEWHERE)
def test_a_session_that_was_ended_from_elsewhere_makes_no_device_known(
    maya: User, client: Client, because: DeviceSession.Ended
) -> None:  # A4 A7
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1
    client.cookies.pop("sidekick_access")
    client.cookies.pop("sidekick_refresh")
    DeviceSession.objects.filter(ip="198.51.100.4").end(because)
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 2


def test_a_cookie_that_we_did_not_write_makes_no_device_known(maya: User, client: Client) -> None:  # A4
    session = maya.device_sessions.get()
    client.cookies[known_devices.COOKIE] = signing.dumps([session.id.hex], salt="another")
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1


def test_api_clients_are_told_of_too(maya: User, client: Client) -> None:  # A8
    for ip in ("198.51.100.4", "198.51.100.4", "198.51.100.5"):
        answer = client.post(
            "/api/v1/auth/token",
            {"email": maya.email, "password": PASSWORD},
            content_type="application/json",
            headers={"User-Agent": "Sidekick/2.1 (Windows)"},
            REMOTE_ADDR=ip,
        )
        assert answer.status_code == 200
    assert len(subjects()) == 2


def test_refreshing_the_token_is_no_sign_in(client: Client, maya: User, pass_time: PassTime) -> None:  # A2
    log_in(client, maya, CHROME, "198.51.100.4")
    delivered().clear()
    pass_time(minutes=6)
    client.get("/dashboard/credits", headers={"User-Agent": FIREFOX}, REMOTE_ADDR="192.0.2.200")
    assert delivered() == []


def test_another_account_is_another_matter(db: None) -> None:
    """Devices are known for one account at a time, addresses are not."""
    alice, bob = make_user("alice@example.com"), make_user("bob@example.com")
    log_in(Client(), alice)
    log_in(Client(), bob)
    assert subjects() == []
    log_in(Client(), bob, CHROME)
    assert [message.to for message in delivered()] == [[bob.email]]
