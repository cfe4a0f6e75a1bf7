"""Emails: written in the transaction of what they tell of, sent by the worker afterwards (O4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from email.utils import parseaddr
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.template import Context, Engine
from django.utils import timezone

from sidekick.accounts import delivery
from sidekick.accounts.models import Letter, User

_kept_back = ContextVar("emails are kept back", default=False)


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
    """Write an email and have the worker send it when the current transaction commits.

    `template` names three files, rendered at once: `{template}_subject.txt`, `{template}_message.txt` and
    `{template}_message.html`; the bodies extend `mail/layout.txt` and `mail/layout.html`. Besides `context` they know
    `site_url`, `support` (an address), `to`, `account` (a `User` or None), `zone` (a name), `subject` and
    `unsubscribe`; dates come out in the account's time zone. Text files are rendered without escaping.

    With a `key` it is written once ever; to an account that its owner deleted, nothing. `account` says whose email it
    is where `to` is only an address. Nothing is sent after `expires_at`. `unsubscribe` is an address on this site that
    takes a POST from anyone (RFC 8058).
    """
    if isinstance(to, User):
        account, to = to, to.email
    if _kept_back.get() or (account and account.deleted_at) or (key and Letter.objects.filter(key=key).exists()):
        return
    email = Letter(account=account, template=template, key=key, to=to, unsubscribe=unsubscribe, expires_at=expires_at)
    email.subject, email.text, email.html = render(
        template, {**context, "to": to, "account": account, "unsubscribe": unsubscribe}
    )
    # The row and its job are stored together: neither is lost alone, and a change that is rolled back tells nobody.
    with transaction.atomic():
        # Of two that come at once with the same key the second waits for the first, and writes nothing.
        Letter.objects.bulk_create([email], ignore_conflicts=True)
        if key is None or Letter.objects.filter(id=email.id).exists():
            delivery.queue(email)


@contextmanager
def kept_back() -> Iterator[None]:
    """Inside, no email is written: for making up a past, of which nobody should hear."""
    token = _kept_back.set(True)
    try:
        yield
    finally:
        _kept_back.reset(token)


def written(keys: Iterable[str]) -> set[str]:
    """Returns which of these keys have an email already: to ask once for many instead of `write` for each."""
    return {key for key in Letter.objects.filter(key__in=list(keys)).values_list("key", flat=True) if key}


def render(template: str, context: Mapping[str, object]) -> tuple[str, str, str]:
    """Returns subject, text and HTML of an email."""
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
        # Template tags leave empty lines behind.
        text = re.sub(r"\n{3,}", "\n\n", _render(f"{template}_message.txt", values, escape=False)).strip() + "\n"
        html = _render(f"{template}_message.html", values, escape=True).strip() + "\n"
    return subject, text, html


def _render(name: str, values: Mapping[str, object], *, escape: bool) -> str:
    template = Engine.get_default().get_template(name)
    return template.render(Context(dict(values), autoescape=escape))
