"""The timeline of an account: complete, in order, page by page, and only for operators who may see it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Purchase, Transaction, WaitingPayment
from credits.ledger import grants
from credits.models import Grant
from dashboard.backoffice.timeline.lines import Line
from dashboard.backoffice.timeline.pages import KINDS, PAGE_SIZE, Mark, Page
from feedback.models import ReportChange
from sidekick.accounts.models import DeviceSession, Letter, User
from tests.conftest import make_user
from tests.credits.books import use
from tests.dashboard.backoffice import rows

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
HOUR = timedelta(hours=1)


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", name="Olga", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def everything(account: User) -> list[Line]:
    """All pages, one after the other."""
    mark: Mark | None = Mark(timezone.now() + timedelta(days=1))
    found: list[Line] = []
    while mark and len(found) < 1000:
        page = Page.for_account(account, mark, kinds=list(KINDS), may=lambda permission: True)
        found += page.lines
        mark = page.next
    return found


def busy_life(account: User, operator: User) -> None:
    """Something of every source, an hour apart."""
    at = rows.NOW
    session = DeviceSession.objects.create(user=account, current_jti=account.id, created_at=at, ip="10.0.0.9")
    DeviceSession.objects.filter(pk=session.pk).end(DeviceSession.Ended.BY_OPERATOR, at + HOUR)
    payment = rows.payment(1, account, created_at=at + 2 * HOUR)
    rows.subscription(1, account)
    rows.paddle_event(1, account)
    rows.adjustment(1, account)
    rows.purchase(1, account)
    Purchase.objects.update(created_at=at + 3 * HOUR)
    given = grants.grant(
        account.id, Decimal(25), kind=Grant.Kind.COURTESY, source_key="gift", reason="Sorry.", actor_id=operator.id
    )
    grants.void(given, Decimal(5), source_key="oops", reason="Too much.", actor_id=operator.id)
    use(account, 2, now=datetime(2026, 5, 11, 12, tzinfo=UTC))
    report = rows.report(1, account)
    ReportChange.objects.create(report=report, was="new", status="done", by=operator, reason="Fixed in 2.1.")
    Letter.objects.create(account=account, to=account.email, subject="We got your report", template="feedback")
    LogEntry.objects.log_actions(operator.pk, [account], CHANGE, "Suspend: a stolen card.")
    LogEntry.objects.log_actions(operator.pk, [session], CHANGE, "End: as they asked.")
    waiting = WaitingPayment.objects.get(pk=payment.pk)
    LogEntry.objects.log_actions(operator.pk, [waiting], CHANGE, "Given to them: the receipt says so.")


def test_everything_that_happened_stands_in_one_list_newest_first(alice: User, charlie: User, operator: User) -> None:
    busy_life(alice, operator)  # O2
    found = everything(alice)
    times = [line.at for line in found]
    assert times == sorted(times, reverse=True)
    words = [line.words for line in found]
    for expected in (
        "Signed up", "Signed in", "Session over: ended by an operator", "Payment of $15.00: completed",
        "Refund of $5.00: approved", "Subscription updated", "Set out to buy Pro, 20 × one additional credit for $2.00",
        "Courtesy: +25.00 credits", "Taken back: −5.00 credits", "1 requests, 2.00 credits",
        f"BUG-{ReportChange.objects.latest('id').report_id} is now done", "Email not sent yet: We got your report",
        "Suspend: a stolen card.", "End: as they asked.", "Given to them: the receipt says so.",
    ):  # fmt: skip
        assert expected in words, expected
    assert {line.kind for line in found} == set(KINDS)
    by = {line.words: (line.by, line.detail) for line in found}
    assert by["Taken back: −5.00 credits"] == (operator.email, "Too much.")
    assert by["Suspend: a stolen card."][0] == operator.email
    usage = next(line for line in found if line.kind == "usage")
    assert usage.parts == ("claude-haiku-4-5: 1 requests, 2.000000 credits",)
    assert [line.words for line in everything(charlie)] == ["Signed up"]


def test_every_line_leads_to_its_row(client: Client, alice: User, operator: User) -> None:  # O2
    busy_life(alice, operator)
    for line in everything(alice):
        if line.kind != "usage":
            assert client.get(line.link).status_code == 200, line


def test_pages_follow_each_other_without_gap_or_repetition(alice: User) -> None:  # O2
    """Sixty events at the same moment, and sixty more of two kinds around it."""
    moments = [rows.NOW] * 60 + [rows.NOW + HOUR * n for n in range(-30, 30)]
    for number, moment in enumerate(moments, start=1):
        rows.payment(number, alice, created_at=moment)
        email = Letter.objects.create(account=alice, to=alice.email, subject=f"Email {number}", created_at=moment)
        assert email.pk
    found = everything(alice)
    links = [line.link for line in found]
    assert len(links) == len(set(links)) == 2 * len(moments) + 1
    assert [line.at for line in found] == sorted((line.at for line in found), reverse=True)


def test_a_page_costs_the_same_however_much_happened(client: Client, alice: User, operator: User) -> None:  # O2
    busy_life(alice, operator)
    page = f"/admin/accounts/user/{alice.id}/timeline/"
    client.get(page)
    with CaptureQueriesContext(connection) as few:
        client.get(page)
    for number in range(2, 100):
        rows.payment(number, alice)
        rows.paddle_event(number, alice)
        Letter.objects.create(account=alice, to=alice.email, subject="Hello")
    with CaptureQueriesContext(connection) as many:
        answer = client.get(page)
    assert len(many) == len(few) <= 18
    assert answer.content.decode().count('class="timeline-line"') == PAGE_SIZE
    assert not [q["sql"] for q in many if "credits_usageevent" in q["sql"] or "COUNT(" in q["sql"]]
    limits = [q["sql"] for q in many if "ORDER BY" in q["sql"] and 'accounts_user"."id" = ' not in q["sql"]]
    assert all(f"LIMIT {PAGE_SIZE + 1}" in sql for sql in limits if "django_content_type" not in sql)


def test_older_pages_are_reached_by_link_and_kinds_are_chosen(client: Client, alice: User, operator: User) -> None:
    for number in range(1, 71):  # O2
        rows.payment(number, alice, created_at=rows.NOW + HOUR * number)
    first = client.get(f"/admin/accounts/user/{alice.id}/timeline/", {"kind": "money"}).content.decode()
    assert "Signed up" not in first
    older = re.search(r'href="([^"]+before=[^"]+)">Older', first)
    assert older
    second = client.get(older[1].replace("&amp;", "&")).content.decode()
    assert second.count('class="timeline-line"') == 20
    assert "Older" not in second
    assert "Back to the newest" in second


@pytest.mark.parametrize("asked", ["before=x", "before=2026-01-01", "before=2026-01-01T00:00:00Z&skip=-1", "kind=x"])
def test_an_address_that_makes_no_sense_shows_the_newest(
    client: Client, alice: User, operator: User, asked: str
) -> None:
    page = client.get(f"/admin/accounts/user/{alice.id}/timeline/?{asked}")  # O2
    assert page.status_code == 200
    assert "Signed up" in page.content.decode()


def test_times_are_utc_and_the_accounts_own(client: Client, alice: User, operator: User) -> None:  # O2
    User.objects.filter(id=alice.id).update(time_zone="Asia/Kathmandu")
    page = client.get(f"/admin/accounts/user/{alice.id}/timeline/").content.decode()
    assert "09:30:00" in page
    assert "31 Jan 2026, 15:15:00" in page


def test_strangers_see_no_timeline(client: Client, sign_in: SignIn, alice: User, charlie: User) -> None:  # O2
    page = f"/admin/accounts/user/{alice.id}/timeline/"
    assert client.get(page)["Location"].startswith("/admin/login/")
    sign_in(client, charlie)
    assert client.get(page)["Location"].startswith("/admin/login/")
    sign_in(client, alice)
    assert client.get(page).status_code == 302
    clerk = make_user("clerk@example.com", is_staff=True)
    sign_in(client, clerk)
    assert client.get(page).status_code == 403


def test_who_may_see_accounts_sees_only_what_else_they_may(client: Client, sign_in: SignIn, alice: User) -> None:  # O2
    rows.payment(1, alice)
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.set(Permission.objects.filter(codename="view_user"))
    sign_in(client, clerk)
    page = f"/admin/accounts/user/{alice.id}/timeline/"
    assert "Payment of" not in client.get(page).content.decode()
    clerk.user_permissions.add(Permission.objects.get(codename="view_transaction"))
    assert "Payment of" in client.get(page).content.decode()
    assert Transaction.objects.exists()


def test_an_account_that_is_not_there_has_no_timeline(client: Client, operator: User) -> None:  # O2
    assert client.get(f"/admin/accounts/user/{'0' * 8}-0000-4000-8000-{'0' * 12}/timeline/").status_code == 404
