"""The filters of usage: dates and model. The choice lives in the URL, and every view of usage follows it (C5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict

from credits.reports.balance import Balance, start_of_last_period
from credits.reports.spans import Span
from credits.reports.usage import ModelUsage
from sidekick import formatting

# Far from the ends of the calendar, where a change of zone would overflow.
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2100, 1, 1)
RANGES = {
    "period": "This period",
    "last": "Last period",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "custom": "Custom dates",
}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LENGTHS = {"7d": 7, "30d": 30, "90d": 90}


class DayField(forms.DateField):
    """A day written as browsers send it. Django would also take 05/06/2026, which is May to some and June to others."""

    def to_python(self, value: Any) -> date | None:
        if value not in self.empty_values and not DAY.fullmatch(str(value).strip()):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class FilterForm(forms.Form):
    """The parameters of the URL. None is required: without any it is the current period and every model."""

    range = forms.ChoiceField(
        choices=list(RANGES.items()),
        required=False,
        error_messages={"invalid_choice": "There is no such range; this is the current period."},
    )
    to = DayField(required=False, error_messages={"invalid": "Give the last day as a date, like 2026-05-31."})
    # A name may begin or end with a space.
    model = forms.CharField(required=False, max_length=100, strip=False)

    def __init__(self, data: QueryDict, balance: Balance) -> None:
        super().__init__(data)
        self.balance = balance
        # Not an attribute of the class, because `from` is a keyword of Python.
        self.fields["from"] = DayField(
            required=False, error_messages={"invalid": "Give the first day as a date, like 2026-05-01."}
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if cleaned.get("range") == "last":
            cleaned["start"] = start_of_last_period(self.balance.account_id)
        if "start" in cleaned and cleaned["start"] is None:
            self.add_error("range", "This is your first period: there is none before it.")
        if cleaned.get("range") == "custom" and not self.errors:
            first, last = cleaned.get("from"), cleaned.get("to")
            if not first or not last:
                self.add_error("from", "Choose a first and a last day.")
            elif not FIRST_DAY <= first <= last <= LAST_DAY:
                self.add_error("from", "The first day must not be after the last, and both after the year 2000.")
        return cleaned


@dataclass(frozen=True, slots=True)
class Filters:
    """The span and the model that were asked for; the current period and every model where that made no sense.

    `asked` is the range that the form shows, `range` the one that holds. `first` and `last` fill the form's dates.
    """

    asked: str
    range: str
    span: Span
    model: str
    first: str
    last: str
    errors: list[str]
    zone: ZoneInfo

    @classmethod
    def from_query(cls, data: QueryDict, balance: Balance, zone: ZoneInfo) -> Filters:
        form = FilterForm(data, balance)
        valid = form.is_valid()
        chosen: dict[str, Any] = form.cleaned_data if valid else {}
        range_ = chosen.get("range") or "period"
        asked = next((key for key in RANGES if key == data.get("range")), range_)
        span = _span(range_, chosen, balance, zone)
        # Custom dates start from those on the screen.
        first, last = (day.isoformat() for day in span.days(zone))
        # Dates that make no sense stay in the form as they were typed, so that they can be corrected.
        typed = data if asked == "custom" else QueryDict()
        return cls(
            asked=asked,
            range=range_,
            span=span,
            model=form.cleaned_data.get("model") or "",
            first=typed.get("from", "")[:20] or first,
            last=typed.get("to", "")[:20] or last,
            errors=[str(message) for messages in form.errors.values() for message in messages],
            zone=zone,
        )

    @property
    def query(self) -> dict[str, str]:
        """The URL's parameters, without the defaults."""
        parameters = {} if self.range == "period" else {"range": self.range}
        if self.range == "custom":
            parameters |= {"from": self.first, "to": self.last}
        if self.model:
            parameters["model"] = self.model
        return parameters

    def link(self, **more: object) -> str:
        """A query string with these filters and `more`."""
        query = urlencode({**self.query, **more})
        return f"?{query}" if query else "?"

    def link_to_page(self, number: int) -> str:
        return self.link(page=number) if number > 1 else self.link()

    def of_model(self, sums: list[ModelUsage]) -> list[ModelUsage]:
        """The sums of the chosen model, or all of them."""
        return [each for each in sums if self.model in ("", each.model)]

    @property
    def choices(self) -> list[tuple[str, str, bool]]:
        """(key, label, is chosen) of each range."""
        # The range that was asked for stays chosen, also where it made no sense.
        return [(key, label, key == self.asked) for key, label in RANGES.items()]

    @property
    def dates_in_name(self) -> str:
        """The span for the name of a file, in the account's time zone."""
        first, last = self.span.days(self.zone)
        return f"{first}-to-{last}"

    @property
    def dates(self) -> str:
        """The span in words, in the account's time zone, its last day included."""
        first, last = self.span.days(self.zone)
        return formatting.day(first) if first == last else f"{formatting.day(first)} – {formatting.day(last)}"


def _span(range_: str, chosen: dict[str, Any], balance: Balance, zone: ZoneInfo) -> Span:
    if range_ == "custom":
        return Span.for_days(chosen["from"], chosen["to"], zone)
    if range_ in LENGTHS:
        today = balance.as_of.astimezone(zone).date()
        return Span.for_days(today - timedelta(days=LENGTHS[range_] - 1), today, zone)
    if range_ == "last":
        return Span(chosen["start"], balance.starts_at)
    return balance.period
