"""The worker's tasks for reports."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app

from feedback import webhook
from feedback.models import ReportImage

logger = logging.getLogger(__name__)

# Nine attempts within about a day, after pauses of 4, 16, 64, … seconds. Every exception is retried, a database that
# was away included: nothing else looks for changes that were not delivered.
GROWING = RetryStrategy(max_attempts=8, exponential_wait=4)


@app.task(retry=GROWING)
def forward(change_id: int) -> None:
    """Post one change to the team's webhook (F6)."""
    webhook.deliver(change_id, now=timezone.now())


@app.periodic(cron="41 * * * *")
@app.task(queueing_lock="drop_abandoned_images")
def drop_abandoned_images(timestamp: int) -> None:
    """Every hour: delete images of forms that were never sent."""
    dropped, _ = ReportImage.objects.abandoned(timezone.now()).delete()
    if dropped:
        logger.info("dropped %d abandoned images", dropped)
