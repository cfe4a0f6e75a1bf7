"""What the clock does by itself."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate.contrib.django import app

from credits import periods

logger = logging.getLogger(__name__)


@app.periodic(cron="2 * * * *")
@app.task(queueing_lock="open_periods")
def open_periods(timestamp: int) -> None:
    """Every hour: open the periods that are due (M7). A missed hour is made up for by the next."""
    opened = periods.open_all_due(timezone.now())
    logger.info("opened periods of %d accounts", opened)
