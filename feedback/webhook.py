"""Telling a webhook of the team's own about reports, where one is set (F6).

Each change is posted as JSON, signed over the time and the body in the manner of Paddle: `Sidekick-Signature:
ts=<seconds>;h1=<hex of HMAC-SHA256 over "ts:body">`. `event_id` stays the same when it is sent again; several changes
may arrive in another order than they happened, which `occurred_at` tells.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from datetime import datetime

import requests
from django.conf import settings
from django.db.models import F
from procrastinate.contrib.django import app

from feedback.models import Delivery, ReportChange

TASK = "feedback.tasks.forward"
CONNECT_SECONDS, READ_SECONDS = 5, 10


class NotDelivered(Exception):
    """The webhook did not take it; the next attempt may succeed."""


def enqueue(change: ReportChange) -> None:
    """Note in the current transaction that a change is to be told; nothing where no webhook is set."""
    if not settings.FEEDBACK_WEBHOOK_URL:
        return
    Delivery.objects.create(change=change, report_id=change.report_id)
    again(change.pk)


def again(change_id: int) -> None:
    """Have the worker try, whatever became of it before."""
    app.configure_task(TASK).defer(change_id=change_id)


def deliver(change_id: int, *, now: datetime) -> None:
    """Post one change, unless that was done. Raises `NotDelivered`, and the admin shows why."""
    waiting = Delivery.objects.filter(change_id=change_id, delivered_at=None)
    delivery = waiting.select_related("change__report").first()
    if delivery is None or not settings.FEEDBACK_WEBHOOK_URL:
        return
    error = _post(body_of(delivery.change), now)
    waiting.update(attempts=F("attempts") + 1, error=error, delivered_at=None if error else now)
    if error:
        raise NotDelivered(error)


def body_of(change: ReportChange) -> bytes:
    """What the webhook gets: who sent it only as the account's id, images only as their number."""
    report = change.report
    event = {
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
    return json.dumps(event, ensure_ascii=False).encode()


def signature(body: bytes, secret: str, now: datetime) -> str:
    ts = int(now.timestamp())
    digest = hmac.new(secret.encode(), f"{ts}:".encode() + body, hashlib.sha256).hexdigest()
    return f"ts={ts};h1={digest}"


def _post(body: bytes, now: datetime) -> str:
    """Why it was not taken, or nothing. A redirect is no yes: the body is meant for this address alone."""
    headers = {
        "Content-Type": "application/json",
        "Sidekick-Signature": signature(body, settings.FEEDBACK_WEBHOOK_SECRET, now),
    }
    try:
        answer = requests.post(
            settings.FEEDBACK_WEBHOOK_URL,
            body,
            headers=headers,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            stream=True,
        )
    except requests.RequestException as error:
        # Its words may quote the address, with what secret it may carry.
        return type(error).__name__
    with answer:
        return "" if 200 <= answer.status_code < 300 else f"answered {answer.status_code}"
