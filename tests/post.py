"""The letters that the worker has sent by now: the suite runs no worker, so its own function is called here."""

from __future__ import annotations

from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from sidekick.accounts import delivery


def delivered() -> list[EmailMessage]:
    """Send what is due as the worker does every minute, and answer all messages so far, oldest first."""
    delivery.send_due(timezone.now())
    return mail.outbox
