"""Usage from files is recorded by the same code as the API's (M10). `files` reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from credits.usage.files.checking import is_chosen, without_tokens
from credits.usage.files.parsing.lines import BadLine, Numbered
from credits.usage.files.reading import Reading
from credits.usage.files.requests import RequestReader
from credits.usage.schemas import MOST_EVENTS, Event, Receipt, RejectionCode

GROWN = "it was recorded with other figures before: correct that request, or leave this line out"


@dataclass(slots=True)
class ImportResult:
    """The counts of a file's lines: their sum is the number of lines that were read.

    `bad` holds the number of each line that was not recorded, and the reason. `equal` are the numbers of those
    duplicates that are known by their content alone. `early` are from before their account signed up, and left
    out; `passed` are no requests.
    """

    accepted: int = 0
    duplicates: int = 0
    passed: int = 0
    early: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    equal: list[int] = field(default_factory=list)


# Records validated events; `max_age` is how old they may be.
Record = Callable[..., Receipt]


@dataclass(slots=True)
class Import:
    """A file about to be loaded. `chosen` are the only lines to load, if any; `charge_early` loads those from before
    their account signed up. `record` is called with `MOST_EVENTS` at most, after `before_each`.
    """

    reading: Reading
    reader: RequestReader
    record: Record
    chosen: Collection[range] = ()
    charge_early: bool = False
    before_each: Callable[[], None] = lambda: None
    result: ImportResult = field(default_factory=ImportResult)

    def load(self) -> Iterator[ImportResult]:
        """Record the file's rows, and yield the result so far after each call.

        Loading a file again adds nothing, also where it was renamed or has grown. Rows of any age are taken.
        """
        with self.reading.rows() as rows:
            numbers: list[int] = []
            events: list[Event] = []
            for number, event in self._requests(rows):
                numbers.append(number)
                events.append(event)
                if len(events) == MOST_EVENTS:
                    self._record(events, numbers)
                    yield self.result
                    events, numbers = [], []
            self._record(events, numbers)
            yield self.result

    def _requests(self, rows: Iterable[Numbered]) -> Iterator[tuple[int, Event]]:
        makes_ids = not self.reader.has_ids and not self.reader.sums
        for number, row in rows:
            chosen = is_chosen(number, self.chosen)
            # Equal lines are counted through the whole file, so that each keeps its id whichever are chosen.
            if not chosen and not makes_ids:
                continue
            try:
                if isinstance(row, BadLine):
                    raise row
                if row is None or without_tokens(self.reading, row):
                    self.result.passed += chosen
                    continue
                event = self.reader.read(row)
                # Before the check of its age, so that equal lines are counted alike whatever is left out.
                identified = self.reader.identify(row, event)
                if not chosen:
                    continue
                early = self.reader.accounts.is_early(event["account"], event["occurred_at"])
                if early and not self.charge_early:
                    self.result.early += 1
                    continue
                yield number, identified
            except BadLine as error:
                if chosen:
                    self.result.bad.append((number, str(error)))

    def _record(self, events: list[Event], numbers: list[int]) -> None:
        self.before_each()
        receipt = self.record(events, max_age=timedelta.max)
        result, reader = self.result, self.reader
        result.accepted += receipt.accepted
        result.duplicates += receipt.duplicates
        # With a file id these lines are known by its name: it was loaded again.
        if not reader.has_ids and not reader.sums and not reader.ids.file_id:
            result.equal += sorted(numbers[index] for index in receipt.repeated)
        for r in receipt.rejected:
            grown = r.code == RejectionCode.CONFLICT and reader.sums is not None
            result.bad.append((numbers[r.index], f"{r.code}: {GROWN if grown else r.detail}"))
        result.bad.sort()
