"""The worker's tasks for accounts."""

from __future__ import annotations

import logging
import uuid

from django.utils import timezone
from procrastinate.contrib.django import app

from sidekick.accounts import delivery

logger = logging.getLogger(__name__)


@app.task(queue=delivery.QUEUE)
def send_letter(letter_id: str) -> None:
    """Send one email; queued when it is written."""
    delivery.send(uuid.UUID(letter_id))


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="send_due_letters", lock="send_due_letters")
def send_due_letters(timestamp: int) -> None:
    """Every minute: emails that could not be sent and have paused long enough. A missed minute is made up for."""
    tried = delivery.send_due(timezone.now())
    if tried:
        logger.info("tried %d emails again", tried)
