"""The calendar of credit periods: months counted from an anchor, in UTC (M7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dateutil.relativedelta import relativedelta

MICROSECOND = timedelta(microseconds=1)
HALF_A_MONTH = timedelta(days=15)


def month_of(anchor: datetime, moment: datetime) -> tuple[datetime, datetime]:
    """Returns the month [start, end) that holds `moment`, counted from `anchor`.

    Both may come in any time zone; the month is one of UTC. A moment before the anchor lies in the first month.
    """
    # Months are added to the anchor, not to each other: 31 January is followed by 28 February and then 31 March.
    anchor, moment = anchor.astimezone(UTC), moment.astimezone(UTC)
    months = (moment.year - anchor.year) * 12 + moment.month - anchor.month
    if anchor + relativedelta(months=months) > moment:
        months -= 1
    months = max(months, 0)
    return anchor + relativedelta(months=months), anchor + relativedelta(months=months + 1)


def last_month_end(end: datetime, paid_until: datetime | None) -> datetime:
    """Returns where a month that ends at `end` really ends, if it may be the last of a paid year.

    Paddle's year may be a little longer or shorter than twelve months of its anchor. It still has twelve months, so
    the last one ends with the year instead of leaving a thirteenth of a few days.
    """
    return paid_until if paid_until and paid_until - end < HALF_A_MONTH else end
