"""The chart's picture as SVG, and the same numbers as rows of a table.

Places are percentages of the picture, so that it fills any width while its words keep their size. Colours are
classes, because no page may carry a style of its own. All names are escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from sidekick import formatting

ZERO = Decimal(0)
# In percent of the picture, but BAR, which is a share of a bar's slot: a bar leaves a gap, and is never too broad or
# too low to be seen.
BAR, BROADEST, LOWEST = Decimal("0.76"), Decimal(7), Decimal("0.8")
STEPS = tuple(map(Decimal, ("2.5", "5", "10", "20", "25")))
SUFFIXES = ((Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(1000), "k"))


class Series(NamedTuple):
    """One model, or the others together. `colour` is the end of a class: 1 to 6, or rest."""

    name: str
    colour: str
    credits: Decimal


class Bar(NamedTuple):
    """`parts` has credits by place in the chart's series, without those of nothing.

    `rounded` is what the bar counts in the sum of all bars as shown, and `shown` its parts, which add up to that.
    """

    name: str
    credits: Decimal
    parts: dict[int, Decimal]
    rounded: Decimal
    shown: dict[int, str]

    @classmethod
    def with_parts(cls, name: str, parts: dict[int, Decimal], rounded: Decimal) -> Bar:
        some = {place: part for place, part in sorted(parts.items()) if part}
        shown = formatting.adding_up(list(some.values()), to=rounded)
        return cls(name, sum(some.values(), ZERO), some, rounded, dict(zip(some, shown, strict=True)))

    @property
    def total(self) -> str:
        return formatting.part_of(self.credits, self.rounded)

    @property
    def height(self) -> Decimal:
        """Credits that the picture shows: a correction takes from a sum, but no bar goes below the line."""
        return sum((part for part in self.parts.values() if part > 0), ZERO)


def plot(series: Sequence[Series], bars: Sequence[Bar], ticks: Sequence[str]) -> SafeString:
    """Grid, bars and words of the picture. `_chart_bar.html` has the markup of one bar."""
    top, lines = _scale(max(bar.height for bar in bars))
    markup = render_to_string("credits/_chart_bar.html")
    slot = 100 / Decimal(len(bars))
    drawn = [_bar(markup, bar, series, slot * place, slot, top) for place, bar in enumerate(bars)]
    return mark_safe("".join([*(_line(line, top) for line in lines), *drawn, *_dates(ticks, slot)]))  # noqa: S308


def rows(series: Sequence[Series], bars: Sequence[Bar]) -> SafeString:
    """A row for each bar; a bar of nothing has none."""
    return mark_safe("".join(_row(bar, series) for bar in bars if bar.parts))  # noqa: S308


def _scale(most: Decimal) -> tuple[Decimal, list[Decimal]]:
    """The value at the top of the picture, and those of the lines up to it: three or four, at round numbers."""
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
    """2.5, 800, 25k, 10M."""
    suffixed = [each for each in SUFFIXES if value >= each[0]] if value >= 10_000 else []
    size, suffix = suffixed[0] if suffixed else (Decimal(1), "")
    return f"{(value / size).normalize():,f}{suffix}"


def _bar(markup: str, bar: Bar, series: Sequence[Series], left: Decimal, slot: Decimal, top: Decimal) -> str:
    width = min(slot * BAR, BROADEST)
    stretch = max(bar.height / top * 100, LOWEST) / bar.height if bar.height else ZERO
    foot, rects = Decimal(100), []
    for place, credits in bar.parts.items():
        height = max(credits, ZERO) * stretch
        foot -= height
        rects.append(
            f'<rect class="series-{series[place].colour}" x="{left + (slot - width) / 2:.3f}%" '
            f'y="{foot:.3f}%" width="{width:.3f}%" height="{height:.3f}%"/>'
        )
    parts = [f"{series[place].name} {shown}" for place, shown in bar.shown.items()]
    read = f"{bar.name}: {bar.total}"
    title = "\n".join([read, *(parts if len(series) > 1 else [])])
    return markup.format(html.escape(title), f"{left:.3f}", f"{slot:.3f}", "".join(rects), html.escape(read))


def _dates(ticks: Sequence[str], slot: Decimal) -> Iterable[str]:
    """The first day, the last one and some between, each below its bar."""
    last = len(ticks) - 1
    for place in sorted({last * part // 3 for part in range(4)} if last > 3 else {0, last}):
        anchor = "middle" if 0 < place < last or not last else "end" if place else "start"
        middle = slot * place + {"start": ZERO, "middle": slot / 2, "end": slot}[anchor]
        yield (
            f'<text class="chart-date" x="{middle:.3f}%" y="100%" dy="18" text-anchor="{anchor}">{ticks[place]}</text>'
        )


def _row(bar: Bar, series: Sequence[Series]) -> str:
    cells = [f'<th scope="row">{bar.name}</th>']
    for place, each in enumerate(series):
        name, part = html.escape(each.name), bar.shown.get(place)
        shown, none = (html.escape(part), "") if part else ("–", " none")
        cells.append(f'<td class="num{none}" data-label="{name}">{shown}</td>')
    exact, shown = formatting.exact(bar.credits), html.escape(bar.total)
    cells.append(f'<td class="num strong" data-label="Credits" title="{exact}">{shown}</td>')
    return f"<tr>{''.join(cells)}</tr>"
