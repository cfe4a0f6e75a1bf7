"""Credits over time, stacked by model (C6): the series, their colours, and the picture in words."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils.safestring import SafeString

from credits.pages import chart_svg
from credits.pages.chart_svg import Bar, Series
from credits.reports import timeseries
from credits.reports.spans import Span
from credits.reports.timeseries import MOST_BARS, Bars, Slice
from sidekick import formatting

# More colours can't be told apart, by colour-blind people least of all.
COLOURS = 6
REST = "rest"
OTHERS = "Others"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Chart:
    """Series with the most credits first; bars in order of time, all of them; a tick for each bar."""

    unit: str
    series: list[Series]
    bars: list[Bar]
    ticks: list[str]

    @classmethod
    def for_span(cls, account_id: uuid.UUID, span: Span, zone: ZoneInfo, *, model: str | None = None) -> Chart | None:
        """The chart of a span, of one model where one is named; None where nothing was used.

        One query, or two where the span is too long for a bar a day.
        """
        if span.end - span.start > timedelta(days=MOST_BARS):
            # A span of many years shows the part of it that has usage.
            part = timeseries.used_part(account_id, span)
            if part is None:
                return None
            span = part
        bars = Bars.for_span(span, zone)
        slices = timeseries.usage_between(account_id, bars.cuts, model=model)
        if not slices:
            return None
        series, places = _series(slices)
        parts = _parts(slices, places, bars)
        rounded = formatting.rounded_parts([sum(each.values(), ZERO) for each in parts])
        drawn = [Bar.with_parts(bars.name(index), *each) for index, each in enumerate(zip(parts, rounded, strict=True))]
        return cls(bars.unit, series, drawn, [bars.tick(index) for index in range(len(drawn))])

    @property
    def credits(self) -> Decimal:
        return sum((bar.credits for bar in self.bars), ZERO)

    @property
    def total(self) -> str:
        return formatting.credits(self.credits)

    @property
    def exact(self) -> str:
        return formatting.exact(self.credits)

    @property
    def words(self) -> str:
        """The text alternative of the picture, or what stands in its place."""
        if self.is_free:
            return "These requests cost no credits, so there is nothing to draw."
        most = max(self.bars, key=lambda bar: bar.credits)
        shown = formatting.adding_up([series.credits for series in self.series])
        by_model = ", ".join(f"{series.name} {part}" for series, part in zip(self.series, shown, strict=True))
        return f"{self.total} credits: {by_model}. Most on {most.name}: {most.total}."

    @property
    def is_free(self) -> bool:
        """Whether nothing of it cost anything, so that there is nothing to draw."""
        return not any(bar.parts for bar in self.bars)

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each model that has one of its own."""
        return {series.name: series.colour for series in self.series if series.colour != REST}

    @property
    def plot(self) -> SafeString:
        return chart_svg.plot(self.series, self.bars, self.ticks)

    @property
    def rows(self) -> SafeString:
        return chart_svg.rows(self.series, self.bars)


def _parts(slices: list[Slice], places: dict[int, int], bars: Bars) -> list[dict[int, Decimal]]:
    """Credits of each bar by place in the chart's series."""
    parts: list[dict[int, Decimal]] = [defaultdict(Decimal) for _ in bars.days]
    for piece in slices:
        parts[piece.place][places[piece.model_id]] += piece.credits
    return parts


def _series(slices: list[Slice]) -> tuple[list[Series], dict[int, int]]:
    """The models with the most credits, and the others as one series; and each model's place among them, by id."""
    names = {piece.model_id: piece.model for piece in slices}
    credits: dict[int, Decimal] = defaultdict(Decimal)
    for piece in slices:
        credits[piece.model_id] += piece.credits
    ranked = sorted(names, key=lambda model: (-credits[model], names[model]))
    own, others = ranked[:COLOURS], ranked[COLOURS:]
    colours = _colours(own)
    shown = [Series(names[model], str(colours[model] + 1), credits[model]) for model in own]
    if others:
        shown.append(Series(OTHERS, REST, sum((credits[model] for model in others), ZERO)))
    return shown, {model: min(place, COLOURS) for place, model in enumerate(ranked)}


def _colours(models: list[int]) -> dict[int, int]:
    """The number of each model's colour. `models` are ids, those with the most credits first."""
    # By its place in the price book, a model has the same colour in every range. Only where two of the chart would
    # look alike, the one with fewer credits takes a free colour.
    wished: dict[int, int] = {}
    for model in models:
        wished.setdefault((model - 1) % COLOURS, model)
    colours = {model: colour for colour, model in wished.items()}
    free = iter(sorted(set(range(COLOURS)) - set(wished)))
    return {model: colours[model] if model in colours else next(free) for model in models}
