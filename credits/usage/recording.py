"""Recording what AI requests used: price, store, count, draw, in one transaction (M1–M3, M5, M6)."""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, NamedTuple, NotRequired

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from pydantic import AwareDatetime, Field, StringConstraints
from pydantic_core import to_json
from typing_extensions import TypedDict

from credits import prices
from credits.ledger import locking, periods, rollover
from credits.models import CreditPeriod, Hold

MOST_EVENTS = 1000
QUARTER_SECONDS = 900
DAY_SECONDS = 86_400
OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
LATELY = timedelta(days=1)

Tokens = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
# PostgreSQL's text can't hold NUL, and no other control character belongs into a name.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
RequestId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=PRINTABLE)]
ModelName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100, pattern=PRINTABLE)]
HoldId = Annotated[str, StringConstraints(strict=True, max_length=64)]


class Event(TypedDict):
    """One request as the backend reports it; `UsageEvent` is how it is stored."""

    request_id: RequestId
    account: Annotated[str, StringConstraints(strict=True, max_length=64)]
    model: ModelName
    occurred_at: Annotated[AwareDatetime, Field(strict=True)]
    input_tokens: Tokens
    output_tokens: Tokens
    cache_read_tokens: Tokens
    cache_write_tokens: Tokens
    hold: NotRequired[HoldId | None]


class Refusal(StrEnum):
    """Why an event was not stored."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_MODEL = "unknown_model"
    INVALID = "invalid"
    CONFLICT = "conflict"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"


@dataclass(frozen=True, slots=True)
class Rejected:
    index: int
    request_id: str | None
    code: Refusal
    detail: str


@dataclass(slots=True)
class Receipt:
    """`accepted + duplicates + len(rejected)` is the number of events sent."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = field(default_factory=list)


class Priced(NamedTuple):
    """An event that can be stored. `micro` is its price in millionths of a credit.

    The account's id is text in here: a thousand events look it up some ten thousand times, and hashing a `UUID`
    took a tenth of a whole call.
    """

    position: int
    account_id: str
    model_id: int
    micro: int
    event: Event

    @property
    def key(self) -> tuple[str, str]:
        return self.account_id, self.event["request_id"]

    @property
    def hold_id(self) -> str | None:
        return self.event.get("hold")

    @property
    def content(self) -> tuple[object, ...]:
        """What must be the same for a repeated request id to be the same request.

        The time in UTC: in the hour that a zone repeats in autumn, Python finds it equal to no time of another zone.
        """
        e = self.event
        return (
            self.model_id,
            e["occurred_at"].astimezone(UTC),
            e["input_tokens"],
            e["output_tokens"],
            e["cache_read_tokens"],
            e["cache_write_tokens"],
        )


def record(events: Sequence[Event], *, max_age: timedelta | None = None, now: datetime | None = None) -> Receipt:
    """Record requests of any accounts: rows, rollups and balances move together or not at all.

    `events` are validated (`TypeAdapter(list[Event])`), in any order, `MOST_EVENTS` at most for a good pace.
    Sending an event again changes nothing: it counts as a duplicate, or as a conflict when its content differs.
    `max_age` is how old a request may be (settings.USAGE_MAX_AGE); `timedelta.max` takes any age, for imports.

    Two calls that share an account follow each other at its wallet's lock, so each sees the rows of the other;
    a crash before the commit leaves nothing. Usage beyond what is there becomes debt (M5).
    """
    now = now or timezone.now()
    receipt = Receipt()
    if not events:
        return receipt
    priced = _price(events, settings.USAGE_MAX_AGE if max_age is None else max_age, now, receipt)
    accounts = {uuid.UUID(account) for account in {p.account_id for p in priced}}
    locking.ensure(accounts)
    with transaction.atomic():
        locked = locking.lock(accounts)
        periods.catch_up(locked, now)
        known = {str(account) for account in locked}
        priced = _with_own_holds([p for p in priced if _known(p, known, receipt)], receipt)
        fresh, repeated = _store(priced, receipt)
        _settle(fresh + repeated, now)
        if fresh:
            _roll_up(fresh)
            _charge(fresh, now)
    receipt.accepted = len(fresh)
    receipt.rejected.sort(key=lambda rejected: rejected.index)
    return receipt


def _price(events: Sequence[Event], max_age: timedelta, now: datetime, receipt: Receipt) -> list[Priced]:
    """Find each event's account id, model and price; refuse what has none, and what is outside the time allowed.

    Prices are whole millionths of a credit per million tokens, so the sum is exact and rounds once, half up (M6).
    """
    book = prices.book({event["model"] for event in events})
    accounts = {text: _uuid(text) for text in {event["account"] for event in events}}
    oldest = OLDEST if max_age >= now - OLDEST else now - max_age
    newest = now + settings.USAGE_MAX_AHEAD
    priced = []
    for index, event in enumerate(events):
        account_id, versions, occurred_at = accounts[event["account"]], book.get(event["model"]), event["occurred_at"]
        if account_id is None:
            _refuse(receipt, index, event, Refusal.UNKNOWN_ACCOUNT, "There is no such account.")
        elif occurred_at < oldest:
            _refuse(receipt, index, event, Refusal.TOO_OLD, f"Requests before {oldest.isoformat()} are not taken.")
        elif occurred_at > newest:
            _refuse(receipt, index, event, Refusal.IN_FUTURE, f"It is {now.isoformat()} here.")
        elif versions is None or (price := versions.at(occurred_at)) is None:
            _refuse(receipt, index, event, Refusal.UNKNOWN_MODEL, "The price book has no such model at that time.")
        else:
            price_in, price_out, price_read, price_write = price
            exact = (
                event["input_tokens"] * price_in
                + event["output_tokens"] * price_out
                + event["cache_read_tokens"] * price_read
                + event["cache_write_tokens"] * price_write
            )
            priced.append(Priced(index, account_id, versions.model_id, prices.rounded(exact), event))
    return priced


def _uuid(text: str) -> str | None:
    """The id in its one canonical spelling."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def _refuse(receipt: Receipt, index: int, event: Event, code: Refusal, detail: str) -> None:
    receipt.rejected.append(Rejected(index, event["request_id"], code, detail))


def _known(priced: Priced, known: Collection[str], receipt: Receipt) -> bool:
    if priced.account_id in known:
        return True
    _refuse(receipt, priced.position, priced.event, Refusal.UNKNOWN_ACCOUNT, "There is no such account.")
    return False


def _with_own_holds(priced: list[Priced], receipt: Receipt) -> list[Priced]:
    """Refuse events that name a hold which is none of their account's. No query where none is named."""
    named = {p.hold_id for p in priced if p.hold_id is not None}
    if not named:
        return priced
    ids = [hold_id for text in named if (hold_id := _uuid(text))]
    owners = {str(hold): str(owner) for hold, owner in Hold.objects.filter(id__in=ids).values_list("id", "account_id")}
    own = []
    for p in priced:
        if p.hold_id is None or owners.get(_uuid(p.hold_id) or "") == p.account_id:
            own.append(p)
        else:
            _refuse(receipt, p.position, p.event, Refusal.INVALID, "hold: This account has no such hold.")
    return own


def _settle(priced: Iterable[Priced], now: datetime) -> None:
    """What was promised to these requests is free again: what they really cost is drawn, or was before.

    PostgreSQL knows fewer spellings of an id than Python does.
    """
    holds = {hold_id for p in priced if p.hold_id and (hold_id := _uuid(p.hold_id))}
    if holds:
        locking.end_holds(holds, Hold.State.SETTLED, now)


def _store(priced: list[Priced], receipt: Receipt) -> tuple[list[Priced], list[Priced]]:
    """Insert what is new; answer that, and what was there already with the same content.

    What is not new is compared with what stands, in this call or in the table.
    """
    first: dict[tuple[str, str], Priced] = {}
    again = [p for p in priced if first.setdefault(p.key, p) is not p]
    inserted = _insert(first.values()) if first else set()
    fresh = [p for key, p in first.items() if key in inserted]
    repeated = []
    if len(fresh) < len(priced):
        again += [p for key, p in first.items() if key not in inserted]
        stored = _stored_contents(again)
        for p in again:
            if stored[p.key] == p.content:
                repeated.append(p)
            else:
                detail = "This request id was recorded with other content."
                _refuse(receipt, p.position, p.event, Refusal.CONFLICT, detail)
    receipt.duplicates += len(repeated)
    return fresh, repeated


def _insert(priced: Iterable[Priced]) -> set[tuple[str, str]]:
    """Insert rows that are not there yet and return their keys."""
    rows = [
        {
            "a": p.account_id,
            "r": p.event["request_id"],
            "m": p.model_id,
            "t": p.event["occurred_at"],
            "i": p.event["input_tokens"],
            "o": p.event["output_tokens"],
            "cr": p.event["cache_read_tokens"],
            "cw": p.event["cache_write_tokens"],
            "c": p.micro,
        }
        for p in priced
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usageevent (account_id, request_id, model_id, occurred_at, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT a, r, m, t, i, o, cr, cw, c * 0.000001
            FROM json_to_recordset(%s) AS e(a uuid, r text, m int, t timestamptz, i int, o int, cr int, cw int,
                c numeric)
            ON CONFLICT (account_id, request_id) DO NOTHING
            RETURNING account_id::text, request_id
            """,
            [to_json(rows).decode()],
        )
        return set(cursor.fetchall())


def _stored_contents(priced: Iterable[Priced]) -> dict[tuple[str, str], tuple[object, ...]]:
    rows = [{"a": p.account_id, "r": p.event["request_id"]} for p in priced]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.account_id::text, e.request_id, e.model_id, e.occurred_at, e.input_tokens, e.output_tokens,
                e.cache_read_tokens, e.cache_write_tokens
            FROM json_to_recordset(%s) AS n(a uuid, r text)
            JOIN credits_usageevent e ON e.account_id = n.a AND e.request_id = n.r
            """,
            [to_json(rows).decode()],
        )
        return {(account, request_id): tuple(content) for account, request_id, *content in cursor.fetchall()}


def _roll_up(fresh: list[Priced]) -> None:
    """Add new rows to the sums of their quarter and their day, in key order."""
    sums: dict[tuple[str, int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0, 0])
    for p in fresh:
        e = p.event
        seconds = int(e["occurred_at"].timestamp())
        for grain, length in ((15, QUARTER_SECONDS), (1440, DAY_SECONDS)):
            row = sums[p.account_id, grain, seconds - seconds % length, p.model_id]
            row[0] += 1
            row[1] += e["input_tokens"]
            row[2] += e["output_tokens"]
            row[3] += e["cache_read_tokens"]
            row[4] += e["cache_write_tokens"]
            row[5] += p.micro
    rows = [
        {"a": a, "g": g, "b": b, "m": m, "n": n, "i": i, "o": o, "cr": cr, "cw": cw, "c": c}
        for (a, g, b, m), (n, i, o, cr, cw, c) in sorted(sums.items())
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO credits_usagerollup AS u (account_id, grain, bucket, model_id, requests, input_tokens,
                output_tokens, cache_read_tokens, cache_write_tokens, credits)
            SELECT a, g, to_timestamp(b), m, n, i, o, cr, cw, c * 0.000001
            FROM json_to_recordset(%s) AS e(a uuid, g smallint, b bigint, m int, n int, i bigint, o bigint,
                cr bigint, cw bigint, c numeric)
            ON CONFLICT (account_id, grain, bucket, model_id) DO UPDATE SET
                requests = u.requests + excluded.requests,
                input_tokens = u.input_tokens + excluded.input_tokens,
                output_tokens = u.output_tokens + excluded.output_tokens,
                cache_read_tokens = u.cache_read_tokens + excluded.cache_read_tokens,
                cache_write_tokens = u.cache_write_tokens + excluded.cache_write_tokens,
                credits = u.credits + excluded.credits
            """,
            [to_json(rows).decode()],
        )


def _charge(fresh: list[Priced], now: datetime) -> None:
    """Draw what was used, and count it in the period it occurred in, which may be closed.

    The wallet is touched by what was used lately: nobody wants to hear about a balance because of an import.
    """
    lately = {p.account_id for p in fresh if p.event["occurred_at"] > now - LATELY}
    totals: dict[str, int] = defaultdict(int)
    current: dict[str, int] = defaultdict(int)
    opened = _open_starts({p.account_id for p in fresh})
    late = []
    for p in fresh:
        totals[p.account_id] += p.micro
        if p.event["occurred_at"] >= opened[p.account_id]:
            current[p.account_id] += p.micro
        else:
            late.append(p)
    if late:
        _count_late(late)
    locking.draw(
        locking.Draw(
            uuid.UUID(account), Decimal(total).scaleb(-6), Decimal(current[account]).scaleb(-6), account in lately
        )
        for account, total in totals.items()
    )


def _open_starts(accounts: set[str]) -> dict[str, datetime]:
    rows = CreditPeriod.objects.filter(account_id__in=accounts, closed_at=None)  # type: ignore[misc]
    return {str(account): start for account, start in rows.values_list("account_id", "starts_at")}


def _count_late(late: list[Priced]) -> None:
    starts: dict[str, list[datetime]] = defaultdict(list)
    ids: dict[str, list[int]] = defaultdict(list)
    closed = CreditPeriod.objects.filter(account_id__in={p.account_id for p in late}, closed_at__isnull=False)
    for account, start, period_id in closed.order_by("starts_at").values_list("account_id", "starts_at", "id"):
        starts[str(account)].append(start)
        ids[str(account)].append(period_id)
    used: dict[int, int] = defaultdict(int)
    for p in late:
        place = bisect_right(starts[p.account_id], p.event["occurred_at"])
        # What occurred before the account's first period belongs to none.
        if place:
            used[ids[p.account_id][place - 1]] += p.micro
    rollover.count_usage({period_id: Decimal(micro).scaleb(-6) for period_id, micro in used.items()})
