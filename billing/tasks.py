"""Periodic tasks of billing."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate.contrib.django import app

from billing import schedule, subscriptions
from billing.paddle import inbox, sync

logger = logging.getLogger(__name__)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="apply_paddle_events", lock="apply_paddle_events")
def apply_paddle_events(timestamp: int) -> None:
    """Every minute: events that failed and have paused long enough (P3). A missed minute is made up for by the next."""
    tried = inbox.apply_due(timezone.now())
    if tried:
        logger.info("tried %d paddle events again", tried)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="settle_payments", lock="settle_payments")
def settle_payments(timestamp: int) -> None:
    """Every minute: fulfil waiting payments and end plans that are over (B7)."""
    now = timezone.now()
    schedule.fulfil_due(now)
    if sync.ensure_fresh(now):
        schedule.end_plans(now)


@app.periodic(cron="17 * * * *")
@app.task(queueing_lock="sync_paddle", lock="sync_paddle")
def sync_paddle(timestamp: int) -> None:
    """Every hour: what webhooks may have missed (P5)."""
    report = sync.sync(timezone.now())
    if report.drifted or report.fault:
        logger.warning("paddle and we differed: %s", report)
    if left := subscriptions.cancel_all_of_deleted():
        logger.warning("ended the plans of %d deleted accounts", left)
