"""How long queues of our own (Paddle's inbox, emails) pause before another attempt."""

from __future__ import annotations

from datetime import timedelta

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = FIRST_PAUSE * 1024  # 17 hours: a queue that gives nothing up asks at least once a day.


def pause_after(attempts: int, *, first: timedelta = FIRST_PAUSE, most: timedelta = LONGEST_PAUSE) -> timedelta:
    """Returns the pause after this many failed attempts: `first`, doubled by each further one, at most `most`."""
    # The factor is limited, not the product: a timedelta can't hold what years of attempts would double it to.
    return first * min(1 << max(attempts - 1, 0), most // first)
