"""The emails that a worker would have sent by now: the suite runs none, so its function is called here."""

from __future__ import annotations

from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from sidekick.accounts import delivery


def delivered() -> list[EmailMessage]:
    """Send due emails, as the worker does every minute, and return all messages so far, oldest first."""
    delivery.send_due(timezone.now())
    return mail.outbox
