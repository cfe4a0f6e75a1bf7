"""Sending emails: at least once, and again after growing pauses until the mail server takes them (O4).

The queue is the table of emails itself. A job of procrastinate's starts each email at once; the minute's sweep takes
those whose pause is over and those whose job was lost. A crash between the mail server's answer and our commit sends
an email twice; nothing sends it never.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.utils import timezone
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from sidekick.accounts.models import Letter
from sidekick.retries import pause_after

TASK = "sidekick.accounts.tasks.send_letter"
QUEUE = "letters"
AT_ONCE = 10  # Someone may be waiting for a code: before all other work, whose priority is 0.
MOST_ATTEMPTS = 12  # Pauses double, so the last try is a day and a half after the first.
SENT_IN_A_ROW = 200
EXPIRED = "too late to be of use"

logger = logging.getLogger(__name__)


def queue(email: Letter) -> None:
    """Have the worker send an email as soon as the current transaction commits."""
    # In the worker procrastinate's app has connections of its own: a job would be done before its email is stored.
    jobs = JobManager(DjangoConnector())
    # Jobs and their logs hold no address and no code.
    configure_task(name=TASK, job_manager=jobs, queue=QUEUE, priority=AT_ONCE).defer(letter_id=str(email.id))


def send(email_id: uuid.UUID, *, now: datetime | None = None) -> None:
    """Send an email if it is due; else, or while another worker is at it, do nothing."""
    now = now or timezone.now()
    with transaction.atomic():
        claimed = Letter.objects.due(now).select_for_update(skip_locked=True).filter(id=email_id).first()
        if claimed is None:
            return
        # Counted and put off before the attempt: an email that ends the worker can't keep the others waiting.
        claimed.attempts += 1
        claimed.due_at = now + pause_after(claimed.attempts)
        claimed.save(update_fields=["due_at", "attempts"])
    with transaction.atomic():
        # A worker that came too late for it may hold its row for an instant, so this waits for the lock. It is held
        # until the mail server has answered: nobody else tries the email meanwhile, however long that takes.
        mine = Letter.objects.filter(id=email_id, due_at=claimed.due_at, attempts=claimed.attempts)
        email = mine.select_for_update().first()
        if email:
            _try(email, now)


def send_due(now: datetime) -> int:
    """Send emails whose pause is over and those whose job was lost; returns how many were tried."""
    due = list(Letter.objects.due(now).values_list("id", flat=True)[:SENT_IN_A_ROW])
    for email_id in due:
        send(email_id, now=now)
    return len(due)


def may_be_sent_again(email: Letter) -> bool:
    """Whether it was given up and still says something."""
    return email.due_at is None and email.sent_at is None and bool(email.text)


def send_again(email: Letter) -> bool:
    """Send an email that was given up after all. False when there is nothing to send: it went out, or was too late."""
    given_up = Letter.objects.filter(id=email.id, due_at=None, sent_at=None).exclude(text="")
    with transaction.atomic():
        revived = given_up.update(due_at=timezone.now(), attempts=0, error="")
        if revived:
            queue(email)
    return bool(revived)


def _try(email: Letter, now: datetime) -> None:
    late = email.expires_at is not None and email.expires_at <= now
    email.error, final = (EXPIRED, True) if late else _post(email)
    if email.error:
        logger.warning("email %s was not sent, attempt %d: %s", email.id, email.attempts, email.error)
    else:
        email.sent_at = now
    if not email.error or final or email.attempts >= MOST_ATTEMPTS:
        email.due_at = None
        _forget(email)
    email.save(update_fields=["sent_at", "due_at", "to", "text", "html", "unsubscribe", "error"])


def _forget(email: Letter) -> None:
    """Drop bodies, which may hold a code, and the address of somebody who has no account, or none any more."""
    # A refused email of an account keeps its text: an operator may mend the reason and send it again.
    if not email.error or email.expires_at or not email.account_id:
        email.text = email.html = email.unsubscribe = ""
    if not email.account_id:
        email.to = ""


def _post(email: Letter) -> tuple[str, bool]:
    """Hand an email to the mail server. Returns why it was not taken, "" if it was, and whether it never will be."""
    headers = {}
    if email.unsubscribe:
        headers = {"List-Unsubscribe": f"<{email.unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    message = EmailMultiAlternatives(email.subject, email.text, to=[email.to], headers=headers)
    message.attach_alternative(email.html, "text/html")
    # The server's own words are not kept: they quote the address.
    try:
        message.send()
    except SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"address refused: {codes}", all(code >= 500 for code in codes)
    except SMTPResponseException as error:
        # 5xx to the message itself is final. To the sender or the login it is our configuration, which gets mended.
        return f"{type(error).__name__} {error.smtp_code}", isinstance(error, SMTPDataError) and error.smtp_code >= 500
    except (SMTPException, OSError) as error:
        return type(error).__name__, False
    except ValueError as error:
        return f"can't be put into an email: {type(error).__name__}", True
    return "", False
