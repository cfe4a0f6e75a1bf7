"""A report is stored once, and the team's answer reaches the customer. Threads are real where they matter."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from feedback import images, submission, tasks, triage
from feedback.models import Report, ReportChange, ReportImage
from feedback.submission import TooManyReports
from sidekick.accounts import emails
from sidekick.accounts.models import Letter, User
from tests.conftest import make_user
from tests.credits.books import at_once
from tests.feedback import pictures
from tests.feedback.conftest import NOW
from tests.feedback.reports import made

SAME: dict[str, Any] = {"title": "The chart is empty", "description": "No bars."}


@pytest.mark.django_db(transaction=True)
def test_one_form_sent_at_once_from_eight_threads_is_one_report() -> None:  # F3
    account, token = make_user("alice@example.com"), uuid.uuid4()
    answers = at_once([lambda: made(account, token=token, pictured=1, **SAME).pk] * 8)
    assert len(set(answers)) == 1
    assert Report.objects.count() == ReportImage.objects.count() == Letter.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_are_one_report() -> None:  # F3
    account = make_user("alice@example.com")
    answers = at_once([lambda: made(account, **SAME).pk] * 8)
    assert len(set(answers)) == 1
    assert Report.objects.count() == 1


@pytest.mark.django_db
def test_a_screenshot_that_was_forgotten_comes_to_the_report_that_it_is_for(alice: User) -> None:  # F3 F5
    first = made(alice, **SAME)
    assert made(alice, pictured=1, **SAME) == first
    assert made(alice, pictured=2, **SAME) == first
    assert (Report.objects.count(), first.images.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_twenty_different_reports_at_once_are_ten() -> None:  # F3
    account = make_user("alice@example.com")

    def send() -> bool:
        try:
            made(account)
        except TooManyReports:
            return False
        return True

    answers = at_once([send] * 20)
    assert sum(answers) == Report.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_who_only_writes_rows_of_the_account_does_not_wait_for_a_report() -> None:
    account = make_user("alice@example.com")

    def refer() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        Letter.objects.create(account=account, to=account.email, subject="Hello")

    with transaction.atomic():
        made(account)
        at_once([refer])
    assert Letter.objects.filter(subject="Hello").exists()


@pytest.mark.django_db
def test_the_database_takes_a_form_once(alice: User) -> None:  # F3
    report = made(alice)
    again = Report.objects.get(pk=report.pk)
    again.pk, again.id = None, uuid.uuid4()
    with pytest.raises(IntegrityError, match="report_once_per_form"), transaction.atomic():
        again.save(force_insert=True)


@pytest.mark.django_db
def test_the_eleventh_is_possible_an_hour_after_the_first(alice: User) -> None:  # F3
    for n in range(10):
        made(alice, now=NOW + timedelta(minutes=n))
    with pytest.raises(TooManyReports) as refusal:
        made(alice, now=NOW + timedelta(minutes=59))
    assert refusal.value.again_at == NOW + timedelta(hours=1)
    made(alice, now=refusal.value.again_at)


@pytest.mark.django_db
def test_the_first_reference_has_four_digits(alice: User) -> None:
    assert made(alice).number > 1000


@pytest.mark.django_db
def test_an_answer_leaves_who_when_and_why_and_tells_the_customer(alice: User, olga: User) -> None:  # F4 O1
    report = made(alice, title="A private title", now=NOW)
    later = NOW + timedelta(days=1)
    triage.answer(report.pk, status="planned", reply="Next month.", by=olga, reason="Wanted by many", now=later)
    report.refresh_from_db()
    assert (report.status, report.reply, report.changed_at) == ("planned", "Next month.", later)
    arrival, change = report.changes.all()
    assert (arrival.status, arrival.was, arrival.by) == ("new", "", None)
    assert (change.was, change.status, change.reply) == ("new", "planned", "Next month.")
    assert (change.by, change.reason, change.created_at) == (olga, "Wanted by many", later)
    email = Letter.objects.get(key=f"feedback:{report.id}:{change.pk}")
    assert email.to == "alice@example.com"
    assert email.subject == f"{report.reference}: planned"
    for body in (email.text, email.html):
        assert f"/dashboard/feedback/reports/{report.id}" in body
        for private in ("Next month", "Wanted by many", "A private title", "olga"):
            assert private not in body


@pytest.mark.django_db
def test_a_reply_alone_is_news_and_its_taking_back_is_none(alice: User, olga: User) -> None:  # F4
    report = made(alice)
    said: dict[str, Any] = {"by": olga, "reason": "Because", "now": timezone.now()}
    triage.answer(report.pk, reply="We look into it.", **said)
    assert Letter.objects.filter(subject=f"{report.reference}: we replied").count() == 1
    assert triage.answer(report.pk, reply="We look into it.", status="new", **said) is None
    taken_back = triage.answer(report.pk, reply="", **said)
    assert taken_back
    assert Letter.objects.count() == 2
    assert ReportChange.objects.count() == 3


@pytest.mark.django_db
def test_history_is_never_rewritten(alice: User) -> None:  # F4
    change = made(alice).changes.get()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        ReportChange.objects.filter(pk=change.pk).update(status="done")


@pytest.mark.django_db
def test_a_change_without_a_reason_is_refused_by_the_database(alice: User, olga: User) -> None:  # O1
    report = made(alice)
    with pytest.raises(IntegrityError, match="report_change_for_a_reason"), transaction.atomic():
        ReportChange.objects.create(report=report, status="done", was="new", by=olga)


@pytest.mark.django_db
def test_with_an_account_its_reports_go(alice: User, olga: User) -> None:  # A10
    report = made(alice, pictured=1)
    triage.answer(report.pk, status="done", by=olga, reason="Shipped", now=timezone.now())
    Report.objects.filter(account=alice).delete()
    assert not ReportChange.objects.exists()
    assert not ReportImage.objects.exists()


@pytest.mark.django_db
def test_images_of_forms_that_were_never_sent_go_after_a_day(alice: User) -> None:  # F5
    sent = made(alice, pictured=1, now=NOW - timedelta(days=30)).images.get()
    added = [("shot.png", images.clean(pictures.png()))]
    submission.keep_images(alice, uuid.uuid4(), [], added, NOW - timedelta(hours=25))
    [young] = submission.keep_images(alice, uuid.uuid4(), [], added, NOW - timedelta(hours=23))
    tasks.drop_abandoned_images(timestamp=0)
    assert set(ReportImage.objects.all()) == {sent, young}


@pytest.mark.django_db
def test_nothing_is_stored_of_a_report_that_breaks_off(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken off")

    monkeypatch.setattr(emails, "write", explode)
    with pytest.raises(RuntimeError, match="broken off"):
        made(alice, pictured=1)
    assert not Report.objects.exists()
    assert not ReportImage.objects.exists()
