"""Pages of emailed codes: every code tells its state, its address, and the way on and back (A1, A9, N1)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from html import unescape
from typing import Any, NamedTuple

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client

from sidekick.accounts.models import Letter, User
from tests.conftest import PASSWORD
from tests.credits.books import wait_until_someone_waits
from tests.post import delivered
from tests.sidekick.accounts.test_pages import check_inputs

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]
PassTime = Callable[..., datetime]
NEXT = "/dashboard/test/page?x=1"
WRONG = {"code": "0000-0000"}


class Flow(NamedTuple):
    """One way to be sent a code: where it is asked for, with which email, and where Cancel leads."""

    asked_at: str
    email: str
    form: dict[str, str]
    minutes: int
    cancel: str = "/accounts/login/"
    signed_in: bool = False


FLOWS = {
    "sign-in": Flow("/accounts/login/code/", "alice@example.com", {"email": "alice@example.com"}, 10),
    "sign-in, unknown": Flow("/accounts/login/code/", "nobody@example.com", {"email": "nobody@example.com"}, 10),
    "reset": Flow("/accounts/password/reset/", "alice@example.com", {"email": "alice@example.com"}, 10),
    "sign-up": Flow("/accounts/signup/", "new@example.com", {"email": "new@example.com", "password1": PASSWORD}, 15),
    "sign-up, taken": Flow(
        "/accounts/signup/", "alice@example.com", {"email": "alice@example.com", "password1": PASSWORD}, 15
    ),
    "new email": Flow(
        "/accounts/email/", "new@example.com", {"email": "new@example.com", "action_add": ""}, 15, "/dashboard/account",
        signed_in=True,
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", FLOWS)
VISITORS = pytest.mark.parametrize("name", [name for name, flow in FLOWS.items() if not flow.signed_in])


@pytest.fixture
def ask(client: Client, alice: User, sign_in: SignIn, pass_time: PassTime) -> Callable[[str], str]:
    """Ask for a code and return the address of the page that waits for it."""

    def ask(name: str) -> str:
        flow = FLOWS[name]
        if flow.signed_in:
            sign_in(client, alice)
            client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        response = client.post(flow.asked_at, {**flow.form, "next": NEXT})
        assert response.status_code == 302, response.content
        return str(response["Location"])

    return ask


def words(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</?strong>", "", main_of(response)))).split())


def code_in(message: Any) -> str:
    found = re.search(r"^\s*(\d{4}-\d{4})$", str(message.body), re.MULTILINE)
    return found[1] if found else ""


def next_in(response: Any) -> set[str]:
    """The pages that the forms of this page go on to."""
    return set(map(unescape, re.findall(r'name="next" value="([^"]*)"', main_of(response))))


def main_of(response: Any) -> str:
    html: str = response.content.decode()
    return html[html.index("<main") : html.index("</main>")]


@EVERY
def test_a_page_names_the_address_and_says_what_to_do(client: Client, ask: Callable[[str], str], name: str) -> None:
    page = client.get(ask(name))  # A1
    text = words(page)
    assert f"If {FLOWS[name].email} can receive it, a code is on its way." in text
    assert f"valid for {FLOWS[name].minutes} minutes" in text
    assert "Look in the spam folder, and check the address above." in text
    assert "You can ask for a new code in 30 seconds." in text
    assert "Use another address" in text
    assert check_inputs(page.content.decode()) == ["code"]


@EVERY
def test_a_new_code_says_what_it_did_and_when_there_may_be_another(
    client: Client, ask: Callable[[str], str], pass_time: PassTime, name: str
) -> None:  # A1
    here = ask(name)
    sent = len(delivered())
    early = words(client.post(here, {"action": "resend"}))
    assert f"We sent a code to {FLOWS[name].email} a moment ago. You can ask for another in 30 seconds." in early
    assert len(delivered()) == sent
    first = code_in(delivered()[-1])
    pass_time(seconds=31)
    response = client.post(here, {"action": "resend"})
    page = client.get(response["Location"])
    text = words(page)
    assert f"We sent a new code to {FLOWS[name].email}; the earlier one no longer works." in text
    assert "You can ask for a new code in 30 seconds." in text
    assert len(delivered()) == sent + 1
    assert delivered()[-1].to == [FLOWS[name].email]
    if first:
        assert code_in(delivered()[-1]) != first
        assert "This is not the code" in words(client.post(here, {"code": first}))


@EVERY
def test_several_new_codes_are_told_to_wait(
    client: Client, ask: Callable[[str], str], pass_time: PassTime, name: str
) -> None:  # A9
    here = ask(name)
    for _ in range(2):
        pass_time(seconds=31)
        assert client.post(here, {"action": "resend"}).status_code == 302
    pass_time(seconds=31)
    sent = Letter.objects.count()
    text = words(client.post(here, {"action": "resend"}))
    assert "You can ask for another in 5 minutes" in text
    assert Letter.objects.count() == sent


@EVERY
def test_an_expired_code_says_so_and_goes_on_from_there(
    client: Client, ask: Callable[[str], str], pass_time: PassTime, name: str
) -> None:  # A1 N1
    here = ask(name)
    code = code_in(delivered()[-1])
    pass_time(minutes=FLOWS[name].minutes, seconds=1)
    for response in (client.get(here), client.post(here, {"code": code or "1234-5678"})):
        assert f"This code has expired: {FLOWS[name].minutes} minutes have passed." in words(response)
        assert 'name="code"' not in main_of(response)
        assert next_in(response) <= {NEXT}
    response = client.post(here, {"action": "resend", "next": NEXT})
    page = client.get(response["Location"])
    assert "We sent a new code" in words(page)
    if code:
        done = client.post(response["Location"], {"code": code_in(delivered()[-1]), "next": NEXT})
        assert done["Location"].startswith(("/accounts/password/reset/complete/?next=%2Fdash", NEXT))


@EVERY
def test_three_wrong_codes_leave_the_page_and_no_code_that_works(
    client: Client, ask: Callable[[str], str], pass_time: PassTime, name: str
) -> None:  # A9
    here = ask(name)
    code = code_in(delivered()[-1])
    assert "2 tries left" in words(client.post(here, WRONG))
    assert "This field is required." in words(client.post(here, {"code": ""}))
    assert "1 try left" in words(client.post(here, WRONG))
    third = words(client.post(here, WRONG))
    assert "That was wrong 3 times, so this code no longer works." in third
    assert FLOWS[name].email in third
    assert "You can ask for a new code in 30 seconds." in third
    assert "no longer works" in words(client.post(here, {"code": code or "1234-5678"}))
    pass_time(seconds=31)
    again = client.post(here, {"action": "resend", "next": NEXT})
    assert "2 tries left" in words(client.post(again["Location"], WRONG))
    if code:
        done = client.post(again["Location"], {"code": code_in(delivered()[-1]), "next": NEXT})
        assert done.status_code == 302


@EVERY
def test_the_address_can_be_corrected(client: Client, ask: Callable[[str], str], name: str) -> None:  # A1
    here = ask(name)
    response = client.post(here, {"action": "correct", "next": NEXT})
    path, _, query = response["Location"].partition("?")
    assert (path, query) == (FLOWS[name].asked_at, "next=%2Fdashboard%2Ftest%2Fpage%3Fx%3D1")
    html = main_of(client.get(response["Location"]))
    field = re.search(r'<input[^>]*name="email"[^>]*>', html)
    assert field
    assert f'value="{FLOWS[name].email}"' in field[0]
    assert "readonly" not in field[0]
    # Nothing waits for the first code any more.
    elsewhere = client.get(here.partition("?")[0])["Location"].partition("?")[0]
    assert elsewhere in {FLOWS[name].asked_at, "/accounts/login/"}


@EVERY
def test_cancel_leads_back(client: Client, ask: Callable[[str], str], name: str) -> None:  # N1
    page = client.get(ask(name))
    assert re.search(r'action="/accounts/cancel/".*?<button class="button button-ghost">Cancel</button>', main_of(page))
    response = client.post("/accounts/cancel/", {"next": NEXT})
    assert response["Location"] in {f"{FLOWS[name].cancel}?next=%2Fdashboard%2Ftest%2Fpage%3Fx%3D1", NEXT}
    assert client.post("/accounts/cancel/")["Location"] == FLOWS[name].cancel
    assert client.post("/accounts/cancel/", {"next": "//evil.example/"})["Location"] == FLOWS[name].cancel
    assert client.get("/accounts/cancel/").status_code == 405


@VISITORS
def test_the_page_asked_for_survives_other_tabs(client: Client, ask: Callable[[str], str], name: str) -> None:  # N1
    ask(name)
    paths = {"reset": ["/accounts/password/reset/confirm/"]}.get(name, ["/accounts/login/"])
    for path in paths:
        response = client.get(path, {"next": "/dashboard/billing"}, follow=True)
        assert next_in(response) == {"/dashboard/billing"}


def test_a_code_without_a_session_says_that_it_expired(client: Client) -> None:  # A1 N1
    for path, earlier in (
        ("/accounts/login/code/confirm/", "/accounts/login/code/"),
        ("/accounts/password/reset/confirm/", "/accounts/password/reset/"),
        ("/accounts/confirm-email/", "/accounts/login/"),
    ):
        response = Client().post(path, {"code": "1234-5678", "next": NEXT})
        assert response["Location"].startswith(f"{earlier}?next=%2Fdashboard")
        visitor = Client()
        assert "That code has expired." in visitor.post(path, WRONG, follow=True).content.decode()


@VISITORS
def test_a_page_tells_nothing_about_accounts(alice: User, pass_time: PassTime, name: str) -> None:  # A9
    """Asking, another code, a wrong one, the third wrong one, and going back look the same for both addresses."""
    flow = FLOWS[name]

    def seen(email: str) -> list[str]:
        cache.clear()
        client = Client()
        response = client.post(flow.asked_at, {**flow.form, "email": email})
        here = response["Location"]
        pages = [client.get(here), client.post(here, {"action": "resend"})]
        pass_time(seconds=31)
        pages += [client.post(here, {"action": "resend"}), client.get(here)]
        pages += [client.post(here, WRONG) for _ in range(3)]
        pages += [client.post(here, {"action": "correct"}), client.get(flow.asked_at)]
        return [
            re.sub(
                r'name="csrfmiddlewaretoken" value="\w+"', "", f"{page.status_code} {page.content.decode()}"
            ).replace(email, "X")
            for page in pages
        ]

    before = Letter.objects.count()
    known = seen("alice@example.com")
    letters = Letter.objects.count() - before
    assert known == seen("alicf@example.com")
    # The time for a row and a job is the same, too.
    assert Letter.objects.count() - before == 2 * letters


def test_correcting_a_sign_up_moves_the_account_instead_of_making_another(
    client: Client, ask: Callable[[str], str], pass_time: PassTime
) -> None:  # A1
    here = ask("sign-up")
    account = User.objects.get(email="new@example.com")
    back = client.post(here, {"action": "correct"})["Location"]
    pass_time(seconds=20)
    client.post(back, {"email": "right@example.com", "password1": "another-long-password"})
    account.refresh_from_db()
    assert account.email == "right@example.com"
    assert account.check_password("another-long-password")
    assert not User.objects.filter(email="new@example.com").exists()
    client.post("/accounts/confirm-email/", {"code": code_in(delivered()[-1])})
    assert EmailAddress.objects.get(user=account, verified=True).email == "right@example.com"
    assert client.get("/test/who").json()["user"] == "right@example.com"


def test_the_same_address_sent_again_gets_a_code_not_a_letter(
    client: Client, ask: Callable[[str], str], pass_time: PassTime
) -> None:  # A1
    back = client.post(ask("sign-up"), {"action": "correct"})["Location"]
    pass_time(seconds=20)
    client.post(back, {"email": "new@example.com", "password1": PASSWORD})
    assert code_in(delivered()[-1])


def test_an_account_that_was_verified_elsewhere_is_not_moved(
    client: Client, ask: Callable[[str], str], pass_time: PassTime
) -> None:  # A9
    """The owner of the mistyped address came by a sign-in code in the meantime: the account is theirs."""
    back = client.post(ask("sign-up"), {"action": "correct"})["Location"]
    EmailAddress.objects.filter(email="new@example.com").update(verified=True)
    pass_time(seconds=20)
    client.post(back, {"email": "right@example.com", "password1": PASSWORD})
    assert set(User.objects.values_list("email", flat=True)) == {
        "alice@example.com",
        "new@example.com",
        "right@example.com",
    }


@pytest.mark.django_db(transaction=True)
def test_an_account_that_is_being_verified_elsewhere_is_not_moved(client: Client, ask: Callable[[str], str]) -> None:
    back = client.post(ask("sign-up"), {"action": "correct"})["Location"]  # A9

    def move() -> None:
        client.post(back, {"email": "right@example.com", "password1": "another-long-password"})
        connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            EmailAddress.objects.filter(email="new@example.com").update(verified=True)
            moving = threads.submit(move)
            wait_until_someone_waits()
        moving.result()
    assert User.objects.get(email="new@example.com") != User.objects.get(email="right@example.com")


@pytest.mark.parametrize("signed_in", [False, True])
def test_tries_at_the_same_time_are_not_more_tries(
    client: Client, ask: Callable[[str], str], alice: User, sign_in: SignIn, signed_in: bool
) -> None:  # A9
    """Each request writes the session as it found it, and with it the number of tries."""
    if signed_in:
        User.objects.update(password="!")
        sign_in(client, alice)
        here = "/accounts/reauthenticate/code/"
        client.post(here, {"action": "resend"})
    else:
        here = ask("reset")
    before = json.dumps(dict(client.session.items()))
    statuses = []
    for _ in range(16):
        statuses.append(client.post(here, WRONG).status_code)
        session = client.session
        session.update(json.loads(before))
        session.save()
    assert statuses == [200] * 15 + [429]


def test_a_new_password_that_took_too_long_says_so(
    client: Client, ask: Callable[[str], str], pass_time: PassTime
) -> None:  # A1 N1
    done = client.post(ask("reset"), {"code": code_in(delivered()[-1]), "next": NEXT})
    pass_time(minutes=11)
    response = client.get(done["Location"])
    assert response["Location"].startswith("/accounts/password/reset/?next=%2Fdashboard")
    assert "That took more than 10 minutes." in client.get(response["Location"]).content.decode()


ELSEWHERE = {
    "signing in": ("/accounts/login/", {"login": "new@example.com", "password": PASSWORD}),
    "sign-in code": ("/accounts/login/code/", {"email": "new@example.com"}),
    "reset": ("/accounts/password/reset/", {"email": "new@example.com"}),
}


@pytest.mark.parametrize("sent_anew", [False, True])
@pytest.mark.parametrize("way", ELSEWHERE)
def test_a_code_for_an_address_that_the_account_gave_up_opens_nothing(
    client: Client, ask: Callable[[str], str], pass_time: PassTime, way: str, sent_anew: bool
) -> None:  # A9
    """The stranger waits for a code in another browser, then moves the account to the address of somebody who comes."""
    back = client.post(ask("sign-up"), {"action": "correct"})["Location"]
    pass_time(seconds=31)
    stranger, (path, form) = Client(), ELSEWHERE[way]
    here = stranger.post(path, form)["Location"]
    code = code_in(delivered()[-1])
    pass_time(seconds=31)
    client.post(back, {"email": "right@example.com", "password1": "another-long-password"})
    account = User.objects.get(email="right@example.com")
    owner = Client()
    pass_time(seconds=31)
    asked = owner.post("/accounts/login/code/", {"email": "right@example.com"})["Location"]
    owner.post(asked, {"code": code_in(delivered()[-1])})
    assert owner.get("/test/who").json()["user"] == "right@example.com"
    if sent_anew:
        sent = len(delivered())
        stranger.post(here, {"action": "resend"})
        assert len(delivered()) == sent
    done = stranger.post(here, {"code": code})
    stranger.post(
        done["Location"] if done.has_header("Location") else here,
        {"password1": "mine-all-mine", "password2": "mine-all-mine"},
    )
    assert stranger.get("/test/who").json()["user"] == "AnonymousUser"
    account.refresh_from_db()
    assert (account.email, account.has_usable_password()) == ("right@example.com", False)
    assert [address.email for address in EmailAddress.objects.filter(user=account)] == ["right@example.com"]
