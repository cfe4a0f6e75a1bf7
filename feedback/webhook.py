"""Forwards reports and their changes to a webhook of the team's own (F6), signed as standardwebhooks.com describes.

`docs/webhook.md` is for receivers.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime

import requests
from django.conf import settings
from django.db.models import F
from procrastinate.contrib.django import app
from standardwebhooks import Webhook

from feedback.models import Delivery, ReportChange

TASK = "feedback.tasks.forward"
CONNECT_SECONDS, READ_SECONDS = 5, 10


class NotDelivered(Exception):
    """The webhook did not take the event; the next attempt may succeed."""


def enqueue(change: ReportChange) -> None:
    """Have a change forwarded once the current transaction commits. Does nothing where no webhook is set."""
    if not settings.FEEDBACK_WEBHOOK_URL:
        return
    Delivery.objects.create(change=change, report_id=change.report_id)
    enqueue_again(change.pk)


def enqueue_again(change_id: int) -> None:
    """Have the worker deliver a change that was noted before, with a full set of attempts."""
    app.configure_task(TASK).defer(change_id=change_id)


def deliver(change_id: int, *, now: datetime) -> None:
    """Post one change, unless it was delivered before. Notes the attempt, and raises `NotDelivered` where it failed."""
    waiting = Delivery.objects.filter(change_id=change_id, delivered_at=None)
    delivery = waiting.select_related("change__report").first()
    if delivery is None or not settings.FEEDBACK_WEBHOOK_URL:
        return
    error = _post(event_of(delivery.change), now)
    waiting.update(attempts=F("attempts") + 1, error=error, delivered_at=None if error else now)
    if error:
        raise NotDelivered(error)


def event_of(change: ReportChange) -> dict[str, object]:
    """The event as JSON's types. Its `event_id` is the same at each attempt. It names the account by id only."""
    report = change.report
    return {
        "event_id": str(uuid.uuid5(report.id, str(change.pk))),
        "event_type": "report.created" if change.is_arrival else "report.changed",
        "occurred_at": change.created_at.isoformat(),
        "data": {
            "id": str(report.id),
            "reference": report.reference,
            "kind": report.kind,
            "title": report.title,
            "description": report.description,
            "priority": report.priority,
            "status": change.status,
            "reply": change.reply,
            "account_id": str(report.account_id),
            "page": report.page,
            "browser": report.browser,
            "app_version": report.app_version,
            "images": report.images.count(),
            "created_at": report.created_at.isoformat(),
        },
    }


def signer(secret: str) -> Webhook:
    """The signer for a secret: the base64 of a key behind `whsec_`, or a text whose bytes are the key.

    Raises `ValueError` or `EmptyWebhookSecretError` for `whsec_` with something else than base64 behind it.
    """
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())


def _post(event: dict[str, object], now: datetime) -> str:
    """Returns why the webhook did not take the event, empty where it did."""
    body = json.dumps(event, ensure_ascii=False)
    message_id = str(event["event_id"])
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signer(settings.FEEDBACK_WEBHOOK_SECRET).sign(message_id, now, body),
    }
    try:
        # A redirect counts as a refusal: the body is meant for this address alone.
        response = requests.post(
            settings.FEEDBACK_WEBHOOK_URL,
            body.encode(),
            headers=headers,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        )
    except requests.RequestException as error:
        # The error's words may quote the address, which may carry a secret.
        return type(error).__name__
    with response:
        return "" if 200 <= response.status_code < 300 else f"answered {response.status_code}"
