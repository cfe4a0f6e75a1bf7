"""The parts of a span, of which each is summed at its own grain."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from credits.reports.spans import QUARTER, Span


@given(
    start=st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
)
def test_the_parts_of_a_span_cover_it_once(start: datetime, length: timedelta) -> None:
    parts = Span(start, start + length).parts()
    edges = [parts[name] for name in ("start", "q1", "d1", "d2", "q2", "end")]
    assert edges == sorted(edges)
    assert parts["d1"] == parts["d2"] or all(parts[d].time() == time.min for d in ("d1", "d2"))
    if parts["q1"] != parts["end"]:
        assert all((parts[q] - datetime(1970, 1, 1, tzinfo=UTC)) % QUARTER == timedelta(0) for q in ("q1", "q2"))
