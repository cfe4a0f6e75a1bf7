"""Credits over time, stacked by model, as finished words and markup (C6).

Places are percentages of the picture, so that it fills any width while its words keep their size. Colours are
classes, because no page may carry a style of its own.
"""

from __future__ import annotations

import html
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from credits.reports import timeseries
from credits.reports.bars import MOST_BARS, Bars
from credits.reports.spans import Span
from credits.reports.timeseries import Slice
from sidekick import formatting

COLOURS = 6
REST = "rest"
OTHERS = "Others"
ZERO = Decimal(0)
# Shares of the picture: a bar leaves a gap, never grows broad, and never is too low to be seen.
BAR, BROADEST, LOWEST = Decimal("0.76"), Decimal(7), Decimal("0.8")
STEPS = tuple(map(Decimal, ("2.5", "5", "10", "20", "25")))
SUFFIXES = ((Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(1000), "k"))


class Series(NamedTuple):
    """One model, or the others together. `colour` is the end of a class: 1 to 6, or rest."""

    name: str
    colour: str
    credits: Decimal


class Bar(NamedTuple):
    """`parts` has credits by place in the chart's series, without those of nothing."""

    name: str
    credits: Decimal
    parts: dict[int, Decimal]


@dataclass(frozen=True, slots=True)
class Chart:
    """Series with the most credits first; bars in order of time, all of them."""

    unit: str
    series: list[Series]
    bars: list[Bar]
    ticks: list[str]

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
        """What the picture shows, for who can't see it."""
        most = max(self.bars, key=lambda bar: bar.credits)
        by_model = ", ".join(f"{series.name} {formatting.credits(series.credits)}" for series in self.series)
        return f"{self.total} credits: {by_model}. Most on {most.name}: {formatting.credits(most.credits)}."

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each model that has one of its own."""
        return {series.name: series.colour for series in self.series if series.colour != REST}

    @property
    def plot(self) -> SafeString:
        """Grid, bars and words of the picture. `_chart_bar.html` has the markup of one bar; all names are escaped."""
        top, lines = _scale(max(bar.credits for bar in self.bars))
        markup = render_to_string("credits/_chart_bar.html")
        slot = 100 / Decimal(len(self.bars))
        drawn = [self._drawn(markup, bar, slot * place, slot, top) for place, bar in enumerate(self.bars)]
        return mark_safe("".join([*(_line(line, top) for line in lines), *drawn, *self._dates(slot)]))  # noqa: S308

    @property
    def rows(self) -> SafeString:
        """The same numbers as rows of a table; a bar of nothing has none."""
        return mark_safe("".join(self._row(bar) for bar in self.bars if bar.credits))  # noqa: S308

    def _drawn(self, markup: str, bar: Bar, left: Decimal, slot: Decimal, top: Decimal) -> str:
        width = min(slot * BAR, BROADEST)
        stretch = max(bar.credits / top * 100, LOWEST) / bar.credits if bar.credits else ZERO
        foot, drawn = Decimal(100), []
        for place, credits in bar.parts.items():
            height = credits * stretch
            foot -= height
            drawn.append(
                f'<rect class="series-{self.series[place].colour}" x="{left + (slot - width) / 2:.3f}%" '
                f'y="{foot:.3f}%" width="{width:.3f}%" height="{height:.3f}%"/>'
            )
        parts = [f"{self.series[place].name} {formatting.credits(credits)}" for place, credits in bar.parts.items()]
        read = f"{bar.name}: {formatting.credits(bar.credits)}"
        title = "\n".join([read, *(parts if len(self.series) > 1 else [])])
        return markup.format(html.escape(title), f"{left:.3f}", f"{slot:.3f}", "".join(drawn), html.escape(read))

    def _dates(self, slot: Decimal) -> Iterable[str]:
        """The first day, the last one and some between, each below its bar."""
        last = len(self.bars) - 1
        for place in sorted({last * part // 3 for part in range(4)} if last > 3 else {0, last}):
            anchor = "middle" if 0 < place < last or not last else "end" if place else "start"
            middle = slot * place + {"start": ZERO, "middle": slot / 2, "end": slot}[anchor]
            yield (
                f'<text class="chart-date" x="{middle:.3f}%" y="100%" dy="18" text-anchor="{anchor}">'
                f"{self.ticks[place]}</text>"
            )

    def _row(self, bar: Bar) -> str:
        cells = [f'<th scope="row">{bar.name}</th>']
        for place, each in enumerate(self.series):
            name, part = html.escape(each.name), bar.parts.get(place)
            shown, none = (html.escape(formatting.credits(part)), "") if part else ("–", " none")
            cells.append(f'<td class="num{none}" data-label="{name}">{shown}</td>')
        exact, shown = formatting.exact(bar.credits), html.escape(formatting.credits(bar.credits))
        cells.append(f'<td class="num strong" data-label="Credits" title="{exact}">{shown}</td>')
        return f"<tr>{''.join(cells)}</tr>"


def of(account_id: uuid.UUID, span: Span, zone: ZoneInfo, *, model: str | None = None) -> Chart | None:
    """The chart of a span, of one model where one is named; None where nothing was used. One query.

    A span that is too long for a bar a day begins and ends with what was used, which takes a query more.
    """
    if span.end - span.start > timedelta(days=MOST_BARS):
        part = timeseries.used_part(account_id, span)
        if part is None:
            return None
        span = part
    bars = Bars.of(span, zone)
    slices = timeseries.usage_between(account_id, bars.cuts, model=model)
    if not slices:
        return None
    shown, places = _series(slices)
    parts: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for piece in slices:
        parts[piece.place][places[piece.model_id]] += piece.credits
    made = [
        Bar(bars.name(index), sum(parts[index].values(), ZERO), {p: c for p, c in sorted(parts[index].items()) if c})
        for index in range(len(bars.days))
    ]
    return Chart(bars.unit, shown, made, [bars.tick(index) for index in range(len(made))])


def _series(slices: list[Slice]) -> tuple[list[Series], dict[int, int]]:
    """The models with the most credits, and the others in one; and the place of each model's id among them."""
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
    """Each model has the colour of its place in the price book, so that it looks the same whatever the range.

    Only where two that are shown would look alike, the one with fewer credits takes a colour that is free.
    """
    wished: dict[int, int] = {}
    for model in models:
        wished.setdefault((model - 1) % COLOURS, model)
    colours = {model: colour for colour, model in wished.items()}
    free = iter(sorted(set(range(COLOURS)) - set(wished)))
    return {model: colours[model] if model in colours else next(free) for model in models}


def _scale(most: Decimal) -> tuple[Decimal, list[Decimal]]:
    """What the top of the picture stands for, and the lines up to it: three or four, at round numbers."""
    most = most or Decimal(1)
    unit = Decimal(1).scaleb(most.adjusted() - 1)
    step = next(step * unit for step in STEPS if most <= 4 * step * unit)
    lines = [step * number for number in range(int((most / step).to_integral_value(ROUND_CEILING)) + 1)]
    return lines[-1], lines


def _line(value: Decimal, top: Decimal) -> str:
    y = 100 - value / top * 100
    return (
        f'<line class="chart-line" x1="0" x2="100%" y1="{y:.3f}%" y2="{y:.3f}%"/>'
        f'<text class="chart-value" x="0" y="{y:.3f}%" dx="-8" dy="4" text-anchor="end">{_short(value)}</text>'
    )


def _short(value: Decimal) -> str:
    """2.5, 800, 25k, 10M: what fits beside a chart."""
    suffixed = [each for each in SUFFIXES if value >= each[0]] if value >= 10_000 else []
    size, suffix = suffixed[0] if suffixed else (Decimal(1), "")
    return f"{(value / size).normalize():,f}{suffix}"
