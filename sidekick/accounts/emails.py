"""Emails: written in the transaction of what they tell of, sent by the worker (O4).

The letter's row and the worker's job are stored together with the change itself, so that neither is lost alone and a
change that is rolled back tells nobody. The job knows the letter's id only: jobs and their logs hold no address and no
code. A crash between the mail server's answer and our commit sends a letter twice; nothing sends it never.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from email.utils import parseaddr
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template import Context
from django.template.loader import get_template
from django.utils import timezone
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from sidekick.accounts.models import Letter, User

TASK = "sidekick.accounts.tasks.send_letter"
QUEUE = "letters"
AT_ONCE = 10  # Someone may be waiting for a code: before all other work, whose priority is 0.
FIRST_PAUSE = timedelta(minutes=1)
MOST_ATTEMPTS = 12  # Pauses double, so the last try is a day and a half after the first.
SENT_IN_A_ROW = 200
EXPIRED = "too late to be of use"
_kept_back = ContextVar("letters are kept back", default=False)

logger = logging.getLogger(__name__)


def write(
    template: str,
    *,
    to: User | str,
    context: Mapping[str, object],
    key: str | None = None,
    account: User | None = None,
    expires_at: datetime | None = None,
    unsubscribe: str = "",
) -> None:
    """Write a letter and have the worker send it when the current transaction commits.

    `template` names three files, rendered at once: `{template}_subject.txt`, `{template}_message.txt` and
    `{template}_message.html`; the bodies extend `mail/layout.txt` and `mail/layout.html`. Besides `context` they know
    `site_url`, `support` (an address), `to`, `account` (a `User` or None), `zone` (a name), `subject` and
    `unsubscribe`; dates come out in the account's time zone. Text files are rendered without escaping.

    With a `key` it is written once ever; to an account that its owner deleted, nothing. `account` says whose letter it
    is where `to` is only an address. Nothing is sent after `expires_at`. `unsubscribe` is an address on this site that
    takes a POST from anyone (RFC 8058).
    """
    if isinstance(to, User):
        account, to = to, to.email
    if _kept_back.get() or (account and account.deleted_at) or (key and Letter.objects.filter(key=key).exists()):
        return
    letter = Letter(account=account, template=template, key=key, to=to, unsubscribe=unsubscribe, expires_at=expires_at)
    letter.subject, letter.text, letter.html = render(
        template, {**context, "to": to, "account": account, "unsubscribe": unsubscribe}
    )
    with transaction.atomic():
        # Of two that come at once with the same key the second waits for the first, and writes nothing.
        Letter.objects.bulk_create([letter], ignore_conflicts=True)
        if key is None or Letter.objects.filter(id=letter.id).exists():
            _defer(letter)


@contextmanager
def kept_back() -> Iterator[None]:
    """Inside, no letter is written: for making up a past, of which nobody should hear."""
    token = _kept_back.set(True)
    try:
        yield
    finally:
        _kept_back.reset(token)


def written(keys: Iterable[str]) -> set[str]:
    """Which of these keys have a letter already: to ask once for many instead of `write` for each."""
    return {key for key in Letter.objects.filter(key__in=list(keys)).values_list("key", flat=True) if key}


def render(template: str, context: Mapping[str, object]) -> tuple[str, str, str]:
    """Subject, text and HTML of a letter."""
    account = context.get("account")
    zone = account.zone if isinstance(account, User) else ZoneInfo("UTC")
    values: dict[str, object] = {
        "site_url": settings.SITE_URL,
        "support": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
        "zone": zone.key,
        **context,
    }
    with timezone.override(zone):
        # A subject is a single line of at most what its column holds.
        subject = " ".join(_render(f"{template}_subject.txt", values, escape=False).split())[:200]
        values["subject"] = subject
        # What tags leave behind in a text are empty lines.
        text = re.sub(r"\n{3,}", "\n\n", _render(f"{template}_message.txt", values, escape=False)).strip() + "\n"
        html = _render(f"{template}_message.html", values, escape=True).strip() + "\n"
    return subject, text, html


def send(letter_id: uuid.UUID, *, now: datetime | None = None) -> None:
    """Send a letter if it is due; else, or while another worker is at it, do nothing.

    The attempt is counted and the next one put off before it starts: a letter that ends the worker can't keep the
    others waiting. Its row is locked until the mail server has answered, so that nobody else tries it meanwhile,
    however long that takes.
    """
    now = now or timezone.now()
    with transaction.atomic():
        claimed = Letter.objects.due(now).select_for_update(skip_locked=True).filter(id=letter_id).first()
        if claimed is None:
            return
        claimed.due_at = now + FIRST_PAUSE * (1 << min(claimed.attempts, MOST_ATTEMPTS))
        claimed.attempts += 1
        claimed.save(update_fields=["due_at", "attempts"])
    with transaction.atomic():
        # A worker that came too late for it may hold its row for an instant.
        mine = Letter.objects.filter(id=letter_id, due_at=claimed.due_at, attempts=claimed.attempts)
        letter = mine.select_for_update().first()
        if letter:
            _try(letter, now)


def send_due(now: datetime) -> int:
    """What the worker does every minute: letters whose pause is over, and those whose job got lost."""
    due = list(Letter.objects.due(now).values_list("id", flat=True)[:SENT_IN_A_ROW])
    for letter_id in due:
        send(letter_id, now=now)
    return len(due)


def may_be_sent_again(letter: Letter) -> bool:
    """Whether it was given up and still says something."""
    return letter.due_at is None and letter.sent_at is None and bool(letter.text)


def send_again(letter: Letter) -> bool:
    """Send a letter that was given up after all. False when there is nothing to send: it went out, or was too late."""
    given_up = Letter.objects.filter(id=letter.id, due_at=None, sent_at=None).exclude(text="")
    with transaction.atomic():
        revived = given_up.update(due_at=timezone.now(), attempts=0, error="")
        if revived:
            _defer(letter)
    return bool(revived)


def _defer(letter: Letter) -> None:
    # In the worker procrastinate's app has connections of its own: a job would be done before its letter is there.
    jobs = JobManager(DjangoConnector())
    configure_task(name=TASK, job_manager=jobs, queue=QUEUE, priority=AT_ONCE).defer(letter_id=str(letter.id))


def _try(letter: Letter, now: datetime) -> None:
    late = letter.expires_at is not None and letter.expires_at <= now
    letter.error, final = (EXPIRED, True) if late else _post(letter)
    if letter.error:
        logger.warning("letter %s was not sent, attempt %d: %s", letter.id, letter.attempts, letter.error)
    else:
        letter.sent_at = now
    if not letter.error or final or letter.attempts >= MOST_ATTEMPTS:
        letter.due_at = None
        _forget(letter)
    letter.save(update_fields=["sent_at", "due_at", "to", "text", "html", "unsubscribe", "error"])


def _forget(letter: Letter) -> None:
    """A code must not lie about, nor the address of somebody who has no account, or none any more.

    What an account was refused is kept: an operator may mend the reason and send it again.
    """
    if not letter.error or letter.expires_at or not letter.account_id:
        letter.text = letter.html = letter.unsubscribe = ""
    if not letter.account_id:
        letter.to = ""


def _post(letter: Letter) -> tuple[str, bool]:
    """Hand it to the mail server. Answers why it was not taken, if so, and whether it never will be.

    What the server says is not kept: it quotes the address.
    """
    headers = {}
    if letter.unsubscribe:
        headers = {"List-Unsubscribe": f"<{letter.unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    message = EmailMultiAlternatives(letter.subject, letter.text, to=[letter.to], headers=headers)
    message.attach_alternative(letter.html, "text/html")
    try:
        message.send()
    except SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        return f"address refused: {codes}", all(code >= 500 for code in codes)
    except SMTPResponseException as error:
        return f"{type(error).__name__} {error.smtp_code}", isinstance(error, SMTPDataError) and error.smtp_code >= 500
    except (SMTPException, OSError) as error:
        return type(error).__name__, False
    except ValueError as error:
        return f"can't be put into an email: {type(error).__name__}", True
    return "", False


def _render(name: str, values: Mapping[str, object], *, escape: bool) -> str:
    template = get_template(name).template  # type: ignore[attr-defined]
    return str(template.render(Context(dict(values), autoescape=escape)))
