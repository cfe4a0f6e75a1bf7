"""Emails about running low: once for each level and period, caused by current usage, never by an import."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from credits import emails, tasks
from credits.ledger import grants, holds, periods
from credits.models import Grant, Plan, Wallet
from credits.reports import alerts
from credits.usage import recording
from dashboard.dev import demo
from sidekick.accounts.models import Letter, User
from tests.conftest import make_user
from tests.credits.books import NOW, assert_books_balance, at_once, event, period, use
from tests.post import delivered

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def told(now: datetime = NOW) -> list[str]:
    """The subjects that the worker writes in this minute."""
    before = len(delivered())
    emails.write_low_balance(now)
    return [str(message.subject) for message in delivered()[before:]]


def test_free_hears_at_a_fifth_a_twentieth_and_nothing(alice: User) -> None:  # C9
    """Free has 50 credits a month."""
    heard = []
    for minute, credits in enumerate(["39", "1", "7", "0.5", "2", "0.5", "5"]):
        use(alice, credits, now=NOW + minute * MINUTE)
        heard.append(told(NOW + minute * MINUTE))
    assert heard == [
        [],
        ["Less than 20% of your credits are left"],
        [],
        ["Less than 5% of your credits are left"],
        [],
        ["Your credits are used up"],
        [],
    ]
    assert_books_balance()


def test_only_the_lowest_level_reached_is_told(alice: User) -> None:  # C9
    use(alice, 48)
    assert told() == ["Less than 5% of your credits are left"]
    (message,) = delivered()
    assert "You have 2.00 credits left to spend" in str(message.body)
    assert "31 May 2026" in str(message.body)


def levels_on_page(client: Client) -> list[str]:
    return re.findall(r'data-notice="low-(\d+)"', client.get("/dashboard/credits").content.decode())


def test_a_higher_level_warns_on_the_page_and_by_email(
    browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # C9
    monkeypatch.setattr(alerts, "LEVELS", (0, 5, 25))
    use(alice, 37)
    assert (levels_on_page(browser), told()) == ([], [])
    use(alice, "0.5", now=NOW + MINUTE)
    assert (levels_on_page(browser), told()) == (["25"], ["Less than 25% of your credits are left"])
    assert "less than 25% of this period’s 50.00" in str(delivered()[-1].body)


def test_a_lower_level_warns_neither_on_the_page_nor_by_email_before_it_is_reached(
    browser: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:  # C9
    monkeypatch.setattr(alerts, "LEVELS", (0, 5, 10))
    use(alice, 41)
    assert (levels_on_page(browser), told()) == ([], [])
    assert not Wallet.objects.get().touched
    use(alice, 4, now=NOW + MINUTE)
    assert (levels_on_page(browser), told()) == (["10"], ["Less than 10% of your credits are left"])


def test_additional_credits_count(alice: User) -> None:  # C9
    grants.grant(alice.id, Decimal(100), kind=Grant.Kind.PURCHASED, source_key="bought", now=NOW)
    use(alice, 130)
    assert told() == []
    use(alice, 15, now=NOW + MINUTE)
    assert told(NOW + MINUTE) == ["Less than 20% of your credits are left"]


def test_a_new_period_starts_afresh(alice: User) -> None:  # C9
    use(alice, 45)
    assert len(told()) == 1
    june = datetime.fromisoformat("2026-06-10T12:00:00Z")
    use(alice, 45, now=june)
    assert told(june) == ["Less than 20% of your credits are left"]


def test_a_period_that_is_over_is_not_complained_about(alice: User) -> None:
    use(alice, 45)
    assert told(datetime.fromisoformat("2026-06-10T12:00:00Z")) == []
    assert told() == []


def test_a_hold_that_is_due_to_lapse_keeps_nobody_from_hearing(alice: User) -> None:  # C9 M4
    use(alice, 40)
    wish: dict[str, Any] = {"model": "claude-haiku-4-5", "input_tokens": 0, "max_output_tokens": 10_000}
    lost = holds.reserve(alice.id, request_id="lost", now=NOW, **wish)
    use(alice, 10, now=lost.expires_at - timedelta(seconds=20))
    assert told(lost.expires_at + timedelta(seconds=20)) == ["Your credits are used up"]


def test_courtesy_credits_that_are_due_to_lapse_are_gone(alice: User) -> None:  # C9
    lapses = NOW + timedelta(hours=1)
    grants.grant(alice.id, Decimal(60), kind=Grant.Kind.COURTESY, source_key="c", expires_at=lapses, now=NOW)
    use(alice, 45, now=lapses - timedelta(seconds=20))
    assert told(lapses + timedelta(seconds=20)) == []
    use(alice, 45, now=lapses + timedelta(seconds=30))
    assert told(lapses + timedelta(seconds=40)) == ["Less than 20% of your credits are left"]


@pytest.mark.parametrize("change", [{"balance_emails": False}, {"is_active": False}])
def test_who_does_not_want_to_hear_does_not(alice: User, change: dict[str, bool]) -> None:  # C9 A10
    User.objects.update(**change)
    use(alice, 50)
    assert told() == []
    assert not Wallet.objects.filter(touched=True).exists()


def test_an_import_of_old_usage_is_no_news(alice: User) -> None:  # M10
    use(alice, 50, at=NOW - timedelta(days=1))
    assert not Wallet.objects.get().touched
    assert told() == []


def test_the_demo_is_no_news() -> None:  # S1
    demo.make_accounts(NOW, lambda line: None)
    assert not Wallet.objects.filter(touched=True).exists()
    assert told() == []
    assert list(Letter.objects.values_list("template", flat=True)) == []


def test_metering_marks_a_wallet_once_in_no_statement_more(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    use(alice, 1)
    with CaptureQueriesContext(connection) as unmarked:
        Wallet.objects.update(touched=False)
        use(alice, 2)
    with CaptureQueriesContext(connection) as marked:
        use(alice, 3)
    assert len(unmarked) == len(marked) + 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text FROM credits_wallet")
        before = cursor.fetchone()
        use(alice, 4)
        cursor.execute("SELECT xmin::text FROM credits_wallet")
        assert cursor.fetchone() == before
    with django_assert_num_queries(1):
        # One more look-up in the partial index when nobody used anything.
        Wallet.objects.update(touched=False)


def test_looking_costs_the_same_for_one_and_for_many(db: None) -> None:
    """Forty accounts that were told already cost what one does; accounts without a mark cost nothing."""
    costs = []
    for number in (1, 40):
        accounts = User.objects.bulk_create(User(email=f"{number}-{n}@example.com") for n in range(number))
        recording.record([event(a, f"{n}", input_tokens=15_000_000) for n, a in enumerate(accounts)], now=NOW)
        assert len(told()) == number
        recording.record([event(a, f"{n}b") for n, a in enumerate(accounts)], now=NOW)
        with CaptureQueriesContext(connection) as queries:
            emails.write_low_balance(NOW)
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 6
    with CaptureQueriesContext(connection) as queries:
        assert emails.write_low_balance(NOW) == 0
    assert len(queries) <= 4


def test_more_than_a_batch_is_looked_at_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emails, "AT_ONCE", 2)
    accounts = User.objects.bulk_create(User(email=f"{n}@example.com") for n in range(5))
    recording.record([event(a, "one", input_tokens=15_000_000) for a in accounts], now=NOW)
    assert emails.write_low_balance(NOW) == 5
    assert Letter.objects.count() == 5


def test_what_is_broken_off_is_looked_at_again(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    use(alice, 50)
    with transaction.atomic():
        emails.write_low_balance(NOW)
        assert Letter.objects.exists()
        transaction.set_rollback(True)
    assert told() == ["Your credits are used up"]


def look_without_waiting() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '3s'")
    emails.write_low_balance(NOW)


@pytest.mark.django_db(transaction=True)
def test_two_workers_tell_once_and_nobody_waits_for_a_wallet_in_use(alice: User, charlie: User) -> None:  # C9
    use(alice, 50)
    use(charlie, 50)
    with transaction.atomic():
        Wallet.objects.select_for_update().get(account=alice)
        at_once([look_without_waiting] * 3)
        assert [email.account for email in Letter.objects.all()] == [charlie]
    at_once([lambda: emails.write_low_balance(NOW)] * 3)
    assert Letter.objects.count() == 2


def test_the_clock_does_it_every_minute(alice: User) -> None:
    use(alice, 50)
    tasks.tell_of_low_balances(0)
    assert Letter.objects.get().key == f"low_balance:{period(alice).pk}:0"


# Rollover


@pytest.fixture
def roller(alice: User) -> User:
    """100 of Starter's 250 credits rolled over into the period from 10 May to 10 June."""
    starter = Plan.objects.get(slug="starter")
    months = [NOW - timedelta(days=30), NOW, NOW + timedelta(days=31)]
    periods.open_paid(alice.id, plan=starter, starts_at=months[0], ends_at=months[1], source_key="a", now=months[0])
    use(alice, 150, now=months[0])
    periods.open_paid(alice.id, plan=starter, starts_at=months[1], ends_at=months[2], source_key="b", now=months[1])
    return alice


def lapses(now: datetime) -> list[str]:
    before = len(delivered())
    emails.write_rollover_expiry(now)
    return [str(message.subject) for message in delivered()[before:]]


def test_three_days_before_rollover_lapses_it_is_told_once(roller: User) -> None:  # C9
    end = NOW + timedelta(days=31)
    use(roller, 20, now=NOW + MINUTE)
    assert lapses(end - timedelta(days=3, seconds=1)) == []
    assert lapses(end - timedelta(days=3)) == ["80.00 rolled-over credits expire on 10 Jun 2026"]
    assert lapses(end - timedelta(days=2)) == []
    assert lapses(end) == []


@pytest.mark.parametrize("case", ["spent", "unwanted"])
def test_of_rollover_that_is_spent_or_unwanted_nothing_is_told(roller: User, case: str) -> None:  # C9
    if case == "spent":
        use(roller, 100, now=NOW + MINUTE)
    else:
        User.objects.update(balance_emails=False)
    assert lapses(NOW + timedelta(days=30)) == []


# Unsubscribing


def link_in(message: Any) -> str:
    assert isinstance(message, EmailMultiAlternatives)
    header = message.extra_headers["List-Unsubscribe"].strip("<>")
    assert header in str(message.body)
    assert header in str(message.alternatives[0][0])
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return str(header).removeprefix("http://localhost:8000")


def test_one_click_without_signing_in_ends_them(alice: User) -> None:  # C9
    """As mail programs do it by RFC 8058: a POST without a cookie and without a form's token."""
    use(alice, 45)
    told()
    link = link_in(delivered()[0])
    stranger = Client(enforce_csrf_checks=True)
    looked = stranger.get(link)
    assert "Stop these emails?" in looked.content.decode()
    alice.refresh_from_db()
    assert alice.balance_emails
    assert stranger.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    alice.refresh_from_db()
    assert not alice.balance_emails
    assert "No more low-balance emails" in stranger.get(link).content.decode()
    use(alice, 5, now=NOW + MINUTE)
    assert told(NOW + MINUTE) == []


def test_a_link_is_good_for_its_own_account_only(alice: User, charlie: User) -> None:  # C9
    token = emails.unsubscribe_url(alice).rsplit("/", 1)[1]
    forged = [token[:-1] + ("A" if token[-1] != "A" else "B"), signing.dumps(str(charlie.pk)), "x", token + "x"]
    for wrong in forged:
        assert Client().post(f"/emails/stop/{wrong}").status_code == 404
    Client().post(f"/emails/stop/{token}")
    assert set(User.objects.filter(balance_emails=True)) == {charlie}


def test_the_link_of_a_suspended_account_leads_nowhere(alice: User) -> None:
    link = emails.unsubscribe_url(alice).removeprefix("http://localhost:8000")
    User.objects.update(is_active=False)
    assert Client().get(link).status_code == 404


def test_the_same_email_goes_to_nobody_else(alice: User) -> None:  # B10
    make_user("charlie@example.com")
    use(alice, 50)
    told()
    assert {message.to[0] for message in delivered()} == {alice.email}


def test_coming_back_up_is_not_told_as_running_low(alice: User) -> None:  # C9
    use(alice, 48)
    assert told() == ["Less than 5% of your credits are left"]
    grants.grant(alice.id, Decimal(6), kind=Grant.Kind.PURCHASED, source_key="bought", now=NOW)
    use(alice, "0.5", now=NOW + MINUTE)
    assert told(NOW + MINUTE) == []
