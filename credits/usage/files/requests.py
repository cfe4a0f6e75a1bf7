"""Reading rows as requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from credits.usage.files import values
from credits.usage.files.accounts import Accounts
from credits.usage.files.fields import CACHED, TOKENS, Fields, look_up
from credits.usage.files.ids import IdMaker
from credits.usage.files.layouts import Sums
from credits.usage.files.parsing.lines import BadLine, Row
from credits.usage.schemas import Event

A_DAY = timedelta(days=1)
_event = TypeAdapter(Event)


@dataclass(slots=True)
class RequestReader:
    """Reads rows as requests.

    `models` renames models. `has_ids` says that the file has request ids; else `ids` makes them.
    """

    fields: Fields
    accounts: Accounts
    models: Mapping[str, str]
    now: datetime
    ids: IdMaker
    sums: Sums | None = None
    has_ids: bool = False

    def read(self, row: Row) -> dict[str, Any]:
        """Returns the request's members but its id. Raises `BadLine`."""
        fields = self.fields
        model = self._one(row, "model")
        event: dict[str, Any] = {
            "account": self.accounts.named(self._one(row, "account"))[0],
            "model": self.models.get(model, model) if isinstance(model, str) else model,
            "occurred_at": values.moment(self._one(row, "occurred_at"), fields.zone),
            **{name: self._tokens(row, name) for name in TOKENS},
        }
        if fields.cached_inside:
            event["input_tokens"] -= sum(event[name] for name in CACHED)
            if event["input_tokens"] < 0:
                raise BadLine("it has more cached tokens than input tokens, so they are not counted inside")
        if self.sums and self._end(row, self.sums, event["occurred_at"]) > self.now:
            raise BadLine("its time is not over, so this sum will still grow")
        return event

    def identify(self, row: Row, event: dict[str, Any]) -> Event:
        """Returns the request with its id. Raises `BadLine` where it is not valid, or a second sum of one name."""
        if self.has_ids:
            event["request_id"] = self._one(row, "request_id")
        elif self.sums:
            event["request_id"] = self.ids.of_sum(row, event, self.sums)
        else:
            event["request_id"] = self.ids.of_content(event)
        try:
            return _event.validate_python(event)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise BadLine(f"{first['loc'][0]}: {first['msg']}") from None

    def _one(self, row: Row, name: str) -> Any:
        found = self.fields.values(row, name)
        if not found:
            raise BadLine(f"no {self.fields.title(name)}")
        return found[0].strip() if isinstance(found[0], str) else found[0]

    def _tokens(self, row: Row, name: str) -> int:
        found = self.fields.values(row, name)
        if not found and name not in CACHED:
            raise BadLine(f"no {self.fields.title(name)}")
        try:
            return sum(values.count(value, comma_decimals=self.fields.comma_decimals) for value in found)
        except BadLine as error:
            raise BadLine(f"{name}: {error}") from None

    def _end(self, row: Row, sums: Sums, start: datetime) -> datetime:
        return values.moment(look_up(row, sums.ends), self.fields.zone) if sums.ends else start + A_DAY
