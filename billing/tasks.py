"""What the clock does by itself."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate.contrib.django import app

from billing import events

logger = logging.getLogger(__name__)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="apply_paddle_events", lock="apply_paddle_events")
def apply_paddle_events(timestamp: int) -> None:
    """Every minute: events that failed and have paused long enough (P3). A missed minute is made up for by the next."""
    tried = events.apply_due(timezone.now())
    if tried:
        logger.info("tried %d paddle events again", tried)
