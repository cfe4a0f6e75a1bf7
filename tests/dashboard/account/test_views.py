"""The account page (A1, A7, A10)."""

from __future__ import annotations

import html
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from billing import ownership, subscriptions
from billing.models import Customer, PaddleEvent, Subscription, Transaction
from billing.paddle import api, inbox
from credits.ledger import grants
from credits.models import Grant, LedgerEntry, UsageEvent
from dashboard.account import data_export, data_sections, deletion
from feedback.models import Report, ReportImage
from sidekick.accounts import device_sessions, emails, tokens
from sidekick.accounts.models import DeviceSession, Letter, User
from tests.billing import store as stores
from tests.billing.store import Store
from tests.browser import customers
from tests.conftest import PASSWORD, make_user
from tests.credits.books import assert_books_balance
from tests.post import delivered

pytestmark = pytest.mark.django_db

PAGES = ("/dashboard/account", "/dashboard/account/security", "/dashboard/account/sessions", "/dashboard/account/data")
DELETE, DOWNLOAD = "/dashboard/account/delete", "/dashboard/account/data/download"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"

SignIn = Callable[[Client, User], None]


@pytest.fixture(autouse=True)
def _fresh_limits(db: None) -> None:
    cache.clear()


@pytest.fixture
def proven(browser: Client) -> Client:
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return browser


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with stores.opened(settings) as opened:
        yield opened


def words_of(response: Any) -> str:
    return html.unescape(response.content.decode())


@pytest.mark.parametrize("path", [*PAGES, DELETE])
def test_a_visitor_signs_in_first(client: Client, path: str) -> None:  # N1 A10
    assert client.get(path)["Location"].startswith("/accounts/login/?next=%2Fdashboard%2Faccount")


@pytest.mark.parametrize("path", PAGES)
def test_pages_stand_in_the_shell_and_name_where_one_is(browser: Client, path: str) -> None:  # A10 N8
    page = browser.get(path).content.decode()
    assert '<h1 tabindex="-1">Account</h1>' in page
    assert f'<a href="{path}" aria-current="page">' in page
    assert page.count('aria-current="page"') == 1


@pytest.mark.parametrize("path", PAGES)
def test_a_page_costs_a_few_queries(
    browser: Client, path: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(5):
        browser.get(path)


def test_the_avatar_menu_leads_here(browser: Client) -> None:  # N3 A10
    assert 'href="/dashboard/account"' in browser.get("/dashboard/billing").content.decode()


def test_name_zone_and_emails_are_saved(browser: Client, alice: User) -> None:  # A10 C9
    answer = browser.post("/dashboard/account", {"name": " Alice A. ", "time_zone": "Asia/Kolkata"})
    assert answer["Location"] == "/dashboard/account"
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone, alice.balance_emails) == ("Alice A.", "Asia/Kolkata", False)
    assert 'value="Asia/Kolkata" selected' in browser.get("/dashboard/account").content.decode()


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_an_unknown_zone_is_refused_and_the_rest_is_kept(browser: Client, alice: User, zone: str) -> None:  # A10
    answer = browser.post("/dashboard/account", {"name": "Alice", "time_zone": zone})
    assert answer.status_code == 422
    assert 'value="Alice"' in answer.content.decode()
    assert "autofocus" in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone) == ("", "UTC")


def test_no_field_but_those_on_the_page_can_be_changed(browser: Client, alice: User) -> None:  # A10
    form = {"name": "A", "time_zone": "UTC", "email": "x@example.com", "is_staff": "on", "is_superuser": "on"}
    browser.post("/dashboard/account", form)
    alice.refresh_from_db()
    assert (alice.email, alice.is_staff, alice.is_superuser) == ("alice@example.com", False, False)


# Security


def test_security_shows_what_there_is(browser: Client, alice: User) -> None:  # A1
    page = words_of(browser.get("/dashboard/account/security"))
    assert "Change password" in page
    assert "Recovery codes" not in page
    assert "Connected accounts" not in page
    alice.set_unusable_password()
    alice.save()
    assert "Set password" in words_of(browser.get("/dashboard/account/security"))


# Sessions


def start(user: User, *, ip: str = "203.0.113.7", user_agent: str = FIREFOX) -> DeviceSession:
    return device_sessions.start(user, ip=ip, user_agent=user_agent).session


def test_each_live_session_has_a_row_and_this_one_says_so(browser: Client, alice: User, charlie: User) -> None:  # A7
    start(alice)
    start(alice, user_agent="ended")
    alice.device_sessions.filter(user_agent="ended").end(DeviceSession.Ended.SIGNED_OUT)
    start(charlie, ip="198.51.100.9")
    page = words_of(browser.get("/dashboard/account/sessions"))
    assert page.count('<form method="post" action="/dashboard/account/sessions/') == 3
    assert "Firefox on Windows" in page
    assert "203.0.113.7" in page
    assert "198.51.100.9" not in page
    assert page.index("This device") < page.index("Firefox on Windows")


def test_ending_a_session_puts_that_browser_out_at_once(browser: Client, alice: User, sign_in: SignIn) -> None:  # A7
    phone = Client()
    sign_in(phone, alice)
    session = alice.device_sessions.order_by("created_at").last()
    assert session
    assert phone.get("/dashboard/account").status_code == 200
    answer = browser.post(f"/dashboard/account/sessions/{session.id}/end")
    assert answer["Location"] == "/dashboard/account/sessions"
    assert phone.get("/dashboard/account").status_code == 302
    session.refresh_from_db()
    assert session.revoked_because == DeviceSession.Ended.BY_CUSTOMER
    assert browser.get("/dashboard/account").status_code == 200


def test_ending_ones_own_session_is_logging_out(browser: Client, alice: User) -> None:  # A7 A5
    answer = browser.post(f"/dashboard/account/sessions/{alice.device_sessions.get().id}/end")
    assert answer["Location"] == "/accounts/login/"
    assert not answer.cookies[tokens.ACCESS_COOKIE].value
    assert alice.device_sessions.get().revoked_because == DeviceSession.Ended.SIGNED_OUT


def test_a_strangers_session_is_not_there(browser: Client, charlie: User) -> None:  # A7
    session = start(charlie)
    for unknown in (session.id, uuid.uuid4()):
        assert browser.post(f"/dashboard/account/sessions/{unknown}/end").status_code == 404
    session.refresh_from_db()
    assert session.revoked_at is None


def test_all_others_end_and_nobody_elses(browser: Client, alice: User, charlie: User) -> None:  # A7
    start(alice)
    start(alice)
    start(charlie)
    browser.post("/dashboard/account/sessions/end-others")
    assert alice.device_sessions.live().count() == 1
    assert charlie.device_sessions.live().count() == 1
    assert browser.get("/dashboard/account").status_code == 200


@pytest.mark.parametrize("path", ["/dashboard/account/sessions/end-others", DOWNLOAD])
def test_looking_changes_nothing(proven: Client, path: str) -> None:
    assert proven.get(path).status_code == 405


# One's own data


def everything_of(user: User, name: str) -> None:
    """One row of each table that holds something personal."""
    SocialAccount.objects.create(user=user, provider="google", uid=name, extra_data={"name": name})
    Authenticator.objects.create(user=user, type="totp", data={"secret": f"secret-{name}"})
    emails.write("account/email/password_changed", to=user, context={"user": user})
    report = Report(account=user, account_email=user.email, kind="bug", title=f"{name} saw a bug", description="x")
    report.priority, report.note = "low", f"internal about {name}"
    report.seal(uuid.uuid4())
    report.save()
    ReportImage.objects.create(
        account=user, report=report, form_token=uuid.uuid4(), name=f"{name}.png", content=b"png",
        media_type="image/png", width=1, height=1, size=3,
    )  # fmt: skip
    grants.grant(user.id, Decimal("12.5"), kind=Grant.Kind.PURCHASED, source_key=f"bought:{name}")
    start = datetime.now(UTC) - timedelta(hours=5)
    requests = customers.requests(user, 25, start=start, end=start + timedelta(hours=4))
    customers.record([event | {"request_id": f"{name}-{event['request_id']}"} for event in requests])


def file_of(client: Client) -> dict[str, Any]:
    answer = client.post(DOWNLOAD)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"].startswith('attachment; filename="sidekick-2')
    body = b"".join(answer)
    assert len(body) == int(answer["Content-Length"])
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def test_the_file_holds_all_of_ones_own_and_nothing_of_others(proven: Client, alice: User, charlie: User) -> None:
    for user, name in ((alice, "alice"), (charlie, "charlie")):  # A10
        everything_of(user, name)
    data = file_of(proven)
    assert data["account"][0]["email"] == alice.email
    assert len(data["requests"]) == 25
    assert sum(Decimal(row["credits"]) for row in data["requests"]) == sum(
        event.credits for event in UsageEvent.objects.filter(account=alice.id)
    )
    for name in ("sessions", "emails", "credit_periods", "grants", "ledger", "reports", "report_images"):
        assert data[name], name
    text = json.dumps(data)
    assert "charlie" not in text
    assert "secret-alice" not in text
    assert "internal about" not in text


def test_the_file_is_all_there_where_requests_come_in_several_lots(
    proven: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # A10
    monkeypatch.setattr(data_export, "AT_A_TIME", 10)
    monkeypatch.setattr(data_export, "IN_MEMORY", 100)
    everything_of(alice, "alice")
    ids = [row["request_id"] for row in file_of(proven)["requests"]]
    assert ids == sorted(UsageEvent.objects.values_list("request_id", flat=True))


def test_a_file_that_can_not_be_finished_is_not_begun(
    proven: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # A10
    everything_of(alice, "alice")
    monkeypatch.setattr(data_sections, "_of_feedback", lambda account: 1 / 0)
    proven.raise_request_exception = False
    assert proven.post(DOWNLOAD).status_code == 500


def test_the_file_needs_proof(browser: Client) -> None:  # A10
    assert "Confirm it’s you" in words_of(browser.get("/dashboard/account/data"))
    assert browser.post(DOWNLOAD)["Location"].startswith("/accounts/reauthenticate/")


def test_the_file_is_made_five_times_an_hour(proven: Client) -> None:  # A10
    assert [proven.post(DOWNLOAD).status_code for _ in range(6)] == [200] * 5 + [429]


# Deleting the account


def test_what_happens_is_said_with_ones_own_figures(proven: Client, alice: User, store: Store) -> None:  # A10
    store.subscribe(alice, "pro")
    store.buy(alice, "credits", 12)
    page = words_of(proven.get(DELETE))
    assert "You lose 1,012.00 credits, 12.00 of them bought." in page
    assert "Your Pro subscription ends at once" in page
    assert f"Type {alice.email} to confirm." in page


def test_without_the_email_nothing_is_deleted(proven: Client, alice: User) -> None:  # A10
    answer = proven.post(DELETE, {"email": "alice@example.org"})
    assert answer.status_code == 422
    assert "This is not the email of your account." in words_of(answer)
    alice.refresh_from_db()
    assert alice.deleted_at is None


def test_without_proof_nothing_is_deleted(browser: Client, alice: User) -> None:  # A10
    assert browser.post(DELETE, {"email": alice.email})["Location"].startswith("/accounts/reauthenticate/")
    alice.refresh_from_db()
    assert alice.deleted_at is None


def test_an_operators_account_is_not_deleted_here(proven: Client, alice: User) -> None:  # A10 O1
    User.objects.update(is_staff=True)
    answer = proven.post(DELETE, {"email": alice.email})
    assert answer.status_code == 409
    assert "operator" in words_of(answer)
    alice.refresh_from_db()
    assert alice.deleted_at is None


def personal_rows() -> str:
    """Everything in the database, as text."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        text = ""
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            text += "".join(f"{table}: {row}\n" for (row,) in cursor.fetchall())
    return text


def test_nothing_that_tells_who_it_was_is_left(proven: Client, alice: User, charlie: User, store: Store) -> None:
    User.objects.filter(id=alice.id).update(name="Alice Wonder")  # A10
    alice.refresh_from_db()
    store.subscribe(alice, "pro")
    everything_of(alice, "alice")
    everything_of(charlie, "charlie")
    start(alice, ip="203.0.113.77")
    LogEntry.objects.create(
        user=charlie, content_type=ContentType.objects.get_for_model(User), object_id=str(alice.id),
        object_repr=str(alice), action_flag=CHANGE, change_message="Ended all sessions.",
    )  # fmt: skip
    entries = LedgerEntry.objects.filter(account=alice).count()
    answer = proven.post(DELETE, {"email": "Alice@Example.com "})
    assert answer["Location"] == "/farewell"
    assert "Your account is deleted" in words_of(proven.get("/farewell"))
    assert [message.subject for message in delivered() if message.to == [alice.email]] == [
        "Your Sidekick account is deleted"
    ]
    Letter.objects.filter(template="dashboard/email/account_deleted").delete()
    left = [line for line in personal_rows().splitlines() if "alice@example.com" in line.lower() or "Wonder" in line]
    assert [line[:200] for line in left] == []
    assert "203.0.113.77" not in personal_rows()
    alice.refresh_from_db()
    assert (alice.is_active, alice.name, alice.email) == (False, "", f"deleted-{alice.id}@deleted.invalid")
    assert alice.deleted_at
    assert LedgerEntry.objects.filter(account=alice).count() == entries
    assert UsageEvent.objects.filter(account=alice.id).count() == 25
    assert Transaction.objects.filter(account=alice).exists()
    assert not alice.device_sessions.live().exists()
    for model in (SocialAccount, Authenticator):
        assert model.objects.get().user == charlie
    assert charlie.letters.exists()
    assert ReportImage.objects.get().account == charlie
    assert_books_balance()


def test_every_browser_is_out_at_once(proven: Client, alice: User, sign_in: SignIn) -> None:  # A10 A7
    phone = Client()
    sign_in(phone, alice)
    proven.post(DELETE, {"email": alice.email})
    assert phone.get("/dashboard/credits").status_code == 302
    assert proven.get("/dashboard/credits").status_code == 302
    Client().post("/accounts/login/", {"login": alice.email, "password": PASSWORD})
    assert not alice.device_sessions.live().exists()


@pytest.mark.parametrize("how", ["active", "leaving", "paused"])
def test_the_plan_ends_at_paddle_before_the_account_goes(proven: Client, alice: User, store: Store, how: str) -> None:
    """A deletion that fails halfway charges nobody for an account that is gone."""  # A10 B2
    subscription = store.subscribe(alice, "pro")
    if how == "leaving":
        subscriptions.cancel(alice)
        store.deliver()
    elif how == "paused":
        store.pause(subscription)
    proven.post(DELETE, {"email": alice.email})
    with store.world.lock:
        assert store.world.state.subscriptions.get(subscription)["status"] == "canceled"
    assert Subscription.objects.get().status == "canceled"
    assert User.objects.get(id=alice.id).deleted_at


def test_a_checkout_that_is_still_open_can_not_be_paid_afterwards(proven: Client, alice: User, store: Store) -> None:
    bought = store.buy(alice, "pro", pay="")  # A10 B5
    proven.post(DELETE, {"email": alice.email})
    assert Transaction.objects.get(id=bought.transaction_id).status == "canceled"


def test_when_paddle_fails_nothing_is_deleted_and_trying_again_works(
    proven: Client, alice: User, store: Store
) -> None:  # A10
    store.subscribe(alice, "pro")
    store.world.faults.add("error", method="POST", path="/subscriptions", times=50)
    answer = proven.post(DELETE, {"email": alice.email})
    assert answer.status_code == 409
    assert "Nothing was deleted." in words_of(answer)
    alice.refresh_from_db()
    assert (alice.deleted_at, alice.is_active) == (None, True)
    assert Subscription.objects.get().status == "active"
    store.world.faults.clear()
    assert proven.post(DELETE, {"email": alice.email})["Location"] == "/farewell"


def test_a_plan_goes_on_when_paddle_fails_at_a_checkout(proven: Client, alice: User, store: Store) -> None:  # A10
    """The page says that nothing was deleted, and to end a plan gives nothing back."""
    store.subscribe(alice, "pro")
    store.buy(alice, "credits", 20, pay="")
    store.world.faults.add("error", method="PATCH", path="/transactions", times=50)
    answer = proven.post(DELETE, {"email": alice.email})
    assert answer.status_code == 409
    assert Subscription.objects.get().status == "active"
    store.world.faults.clear()
    assert proven.post(DELETE, {"email": alice.email})["Location"] == "/farewell"
    assert Subscription.objects.get().status == "canceled"


def test_broken_off_after_paddles_answer_it_heals_when_tried_again(
    proven: Client, alice: User, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:  # A10
    store.subscribe(alice, "pro")
    proven.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr(deletion, "_anonymise", lambda person, now: 1 / 0)
        assert proven.post(DELETE, {"email": alice.email}).status_code == 500
    assert EmailAddress.objects.filter(user=alice).exists(), "one transaction: nothing of it happened"
    assert alice.device_sessions.live().exists()
    assert proven.post(DELETE, {"email": alice.email})["Location"] == "/farewell"


def test_signing_up_again_makes_a_new_and_empty_account(proven: Client, alice: User, store: Store) -> None:  # A10 B10
    store.subscribe(alice, "pro")
    proven.post(DELETE, {"email": alice.email})
    store.deliver()
    new = User.objects.create_user(alice.email, PASSWORD)
    EmailAddress.objects.create(user=new, email=new.email, verified=True, primary=True)
    # Whatever Paddle still has to tell about the former customer finds the former account, or nobody.
    for body in list(api.events_after("")):
        inbox.receive(json.dumps({**body, "event_id": f"evt_again{body['event_id'][9:]}"}).encode())
    assert not Subscription.objects.filter(account=new).exists()
    assert not Transaction.objects.filter(account=new).exists()
    assert Customer.objects.get().account_id == alice.id
    assert not new.grants.filter(kind=Grant.Kind.PURCHASED).exists()
    store.subscribe(new, "starter")
    assert Subscription.objects.get(account=new).status == "active"
    assert Subscription.objects.filter(account=alice.id).get().status == "canceled"
    assert Transaction.objects.filter(account=new).latest("created_at").origin == ownership.MADE_BY_US


def test_deleting_it_twice_at_once_sends_one_email(alice: User) -> None:  # A10
    """After a double click, the second request still holds the account as it was."""
    as_it_was = User.objects.get(id=alice.id)
    deletion.delete_account(alice)
    deletion.delete_account(as_it_was)
    assert Letter.objects.filter(template="dashboard/email/account_deleted").count() == 1
    assert User.objects.get(id=alice.id).email == f"deleted-{alice.id}@deleted.invalid"


def test_dates_are_in_the_accounts_time_zone(browser: Client, alice: User) -> None:  # A10
    User.objects.update(time_zone="Pacific/Auckland")
    late = datetime(2026, 5, 3, 20, tzinfo=UTC)
    SocialAccount.objects.create(user=alice, provider="google", uid="1")
    Authenticator.objects.create(user=alice, type="totp", data={"secret": ""}, created_at=late)
    assert "On since 4 May 2026" in words_of(browser.get("/dashboard/account/security"))


def test_nobody_elses_plan_or_checkout_ends(
    proven: Client, alice: User, charlie: User, store: Store
) -> None:  # A10 B10
    store.subscribe(charlie, "pro")
    opened = store.buy(charlie, "credits", 20, pay="")
    proven.post(DELETE, {"email": alice.email})
    store.deliver()
    assert Subscription.objects.get(account=charlie).status == "active"
    assert Transaction.objects.get(id=opened.transaction_id).status != "canceled"


def paid_and_not_told_of(account: User, store: Store) -> None:
    """The payment of a plan has arrived, and the event of its subscription has not."""
    bought = store.buy(account, "pro", pay="")
    store.world.pay(bought.transaction_id, "good", email=account.email)
    for body in list(api.events_after(store.cursor)):
        if body["event_type"] in {"transaction.paid", "transaction.completed"}:
            inbox.receive(json.dumps(body).encode())


def test_an_account_whose_plan_is_on_its_way_stays_until_it_is_here(proven: Client, alice: User, store: Store) -> None:
    """Its subscription would charge for ever."""  # A10 B5
    paid_and_not_told_of(alice, store)
    assert proven.post(DELETE, {"email": alice.email}).status_code == 409
    store.deliver()
    assert proven.post(DELETE, {"email": alice.email})["Location"] == "/farewell"
    assert Subscription.objects.get().status == "canceled"


def test_a_subscription_that_is_heard_of_too_late_is_ended(alice: User, store: Store) -> None:  # A10
    paid_and_not_told_of(alice, store)
    deletion.delete_account(alice)
    store.deliver()
    assert Subscription.objects.get().status == "active"
    assert [subscriptions.cancel_all_of_deleted(), subscriptions.cancel_all_of_deleted()] == [1, 0]
    assert Subscription.objects.get().status == "canceled"


def test_what_paddle_tells_later_brings_the_person_not_back(alice: User, store: Store) -> None:  # A10
    store.subscribe(alice, "pro")
    deletion.delete_account(alice)
    former = Customer.objects.get()
    data = {"id": former.id, "email": "alice@example.com", "name": "Alice", "status": "active", "custom_data": None}
    body = {
        "event_id": "evt_01zzz",
        "event_type": "customer.updated",
        "occurred_at": "2030-01-01T00:00:00Z",
        "data": data,
    }
    inbox.receive(json.dumps(body).encode())
    deletion.erase_again()
    assert not PaddleEvent.objects.filter(body__contains="Alice").exists()
    former.refresh_from_db()
    assert former.email == ""
    assert "Alice" not in json.dumps(former.data)
    assert former.account_id == alice.id


def test_an_address_is_no_markup(client: Client, sign_in: SignIn) -> None:  # A10
    odd = make_user('"<b>x</b>"@example.com')
    sign_in(client, odd)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert "<b>x</b>" not in client.get(DELETE).content.decode()


def test_the_name_on_the_card_goes(alice: User, store: Store) -> None:  # A10
    store.subscribe(alice, "pro")
    payment = Transaction.objects.get()
    payment.data["payments"][0]["method_details"]["card"] = {"cardholder_name": "ALICE WONDER", "last4": "4242"}
    payment.save()
    deletion.delete_account(alice)
    assert "WONDER" not in personal_rows()
    assert Transaction.objects.get().grand_total == payment.grand_total


def test_reading_paddles_feed_again_brings_no_email_back(alice: User, store: Store) -> None:  # A10 P5
    store.subscribe(alice, "pro")
    feed = list(api.events_after(""))
    deletion.delete_account(alice)
    for body in [*feed, *api.events_after("")]:
        inbox.receive(json.dumps(body).encode())
    assert Customer.objects.get().email == ""
    assert not PaddleEvent.objects.filter(body__contains=alice.email).exists()


def test_an_event_without_its_body_is_not_applied_again(alice: User, store: Store) -> None:  # A10 P3
    store.subscribe(alice, "pro")
    deletion.delete_account(alice)
    told = PaddleEvent.objects.filter(body="").first()
    assert told
    assert inbox.apply_again(told.event_id) is None
    assert PaddleEvent.objects.get(event_id=told.event_id).state == told.state
