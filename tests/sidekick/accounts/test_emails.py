"""Emails are written together with what they tell of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from sidekick.accounts import delivery, emails
from sidekick.accounts.models import Letter, User
from tests.credits.books import at_once
from tests.post import delivered

pytestmark = pytest.mark.django_db
TEMPLATE = "account/email/login_code"
CODE = {"code": "K7QM-2XPD"}


def write(to: User | str, **options: Any) -> Letter:
    emails.write(TEMPLATE, to=to, **{"context": CODE, **options})
    return Letter.objects.latest("created_at")


def test_an_email_waits_for_the_worker_and_says_the_same_in_text_and_html(alice: User) -> None:  # O4
    email = write(alice)
    assert mail.outbox == []
    assert (email.to, email.account, email.subject) == (alice.email, alice, "Your Sidekick sign-in code")
    for body in (email.text, email.html):
        assert "K7QM-2XPD" in body
        assert "hello@localhost" in body
    assert "<" not in email.text


def test_the_job_knows_the_email_and_nothing_else(alice: User) -> None:  # O4
    email = write(alice)
    job = ProcrastinateJob.objects.get(task_name=delivery.TASK)
    assert job.args == {"letter_id": str(email.id)}
    assert job.priority > 0
    assert delivery.TASK in app.tasks


def test_what_is_rolled_back_tells_nobody(alice: User) -> None:
    with transaction.atomic():
        write(alice)
        transaction.set_rollback(True)
    assert not Letter.objects.exists()
    assert not ProcrastinateJob.objects.exists()
    assert delivered() == []


def test_a_key_writes_once_ever(alice: User, charlie: User) -> None:
    for to in (alice, alice, charlie):
        write(to, key="once")
    delivered()
    write(alice, key="once")
    assert [message.to for message in delivered()] == [[alice.email]]
    assert ProcrastinateJob.objects.count() == 1
    assert emails.written(["once", "never"]) == {"once"}


@pytest.mark.django_db(transaction=True)
def test_a_key_writes_once_from_many_at_once(alice: User) -> None:
    at_once([lambda: emails.write(TEMPLATE, to=alice, context=CODE, key="once")] * 8)
    email = Letter.objects.get()
    assert ProcrastinateJob.objects.filter(args__letter_id=str(email.id)).count() == 1


def test_an_account_that_was_deleted_gets_nothing(alice: User) -> None:  # A10
    alice.deleted_at = timezone.now()
    emails.write(TEMPLATE, to=alice, context=CODE)
    assert not Letter.objects.exists()


def test_what_people_typed_is_escaped_in_html_only_and_times_are_theirs(alice: User) -> None:
    alice.time_zone = "Asia/Tokyo"
    moment = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)
    context = {"timestamp": moment, "browser": "<b>&", "ip": "192.0.2.1"}
    emails.write("account/email/new_sign_in", to=alice, context=context)
    email = Letter.objects.get()
    assert "<b>&" in email.text
    assert "&lt;b&gt;&amp;" in email.html
    for body in (email.text, email.html):
        assert "4 May 2026, 07:30 (Asia/Tokyo)" in body
