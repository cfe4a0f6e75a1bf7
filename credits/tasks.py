"""Scheduled tasks of credits: the clock's periods, and emails about balances."""

from __future__ import annotations

import logging

from django.utils import timezone
from procrastinate.contrib.django import app

from credits import emails
from credits.ledger import periods

logger = logging.getLogger(__name__)


@app.periodic(cron="2 * * * *")
@app.task(queueing_lock="open_periods")
def open_periods(timestamp: int) -> None:
    """Every hour: open the periods that are due (M7). A missed hour is made up for by the next."""
    opened = periods.open_all_due(timezone.now())
    logger.info("opened periods of %d accounts", opened)


# The lock: a run that takes longer than a minute must not meet the next one.
@app.periodic(cron="* * * * *")
@app.task(queueing_lock="tell_of_low_balances", lock="tell_of_low_balances")
def tell_of_low_balances(timestamp: int) -> None:
    """Every minute: email accounts whose balance ran low (C9)."""
    emails.write_low_balance(timezone.now())


@app.periodic(cron="41 * * * *")
@app.task(queueing_lock="tell_of_lapses", lock="tell_of_lapses")
def tell_of_lapses(timestamp: int) -> None:
    """Every hour: email accounts whose rolled-over credits expire soon (C9)."""
    sent = emails.write_rollover_expiry(timezone.now())
    logger.info("wrote %d emails about credits that expire", sent)
