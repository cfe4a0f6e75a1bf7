"""`{{ moment|clock }}`: hours and minutes in the page's time zone, with the offset in an hour that comes twice."""

from __future__ import annotations

from datetime import datetime

from django import template

from sidekick import formatting

register = template.Library()


@register.filter(expects_localtime=True)
def clock(moment: datetime | str) -> str:
    # Django's `date` shows nothing for a missing moment, too.
    return formatting.clock(moment, seconds=False) if isinstance(moment, datetime) else ""
