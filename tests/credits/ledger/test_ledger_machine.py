"""Every rule about credits at once: PostgreSQL against a plain model of the rules (M3–M5, M7–M9).

`Book` is one account as `docs/requirements.md` has it, in lists and decimals, and calls nothing of the project. The
machine does the same to both and compares every figure after every step.
"""

from __future__ import annotations

import calendar
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import partial
from itertools import count
from math import floor

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from credits.ledger import grants as ledger_grants
from credits.ledger import holds, periods, upgrades
from credits.ledger.audit import differences
from credits.models import MICRO, AIModel, CreditPeriod, Grant, Hold, LedgerEntry, ModelPrice, Plan, Wallet
from credits.usage import recording
from credits.usage.schemas import Event
from sidekick.accounts.models import User

COURTESY, ROLLOVER, ALLOCATION, BOUGHT = 0, 1, 2, 3
KINDS = {COURTESY: "courtesy", ROLLOVER: "rollover", ALLOCATION: "allocation", BOUGHT: "purchased"}
DRAWN_AS = {COURTESY: "courtesy", ROLLOVER: "plan", ALLOCATION: "plan", BOUGHT: "additional"}
# Starter's cap is lowered for these tests, so that every close has something to forfeit.
PLANS = {
    "free": (Decimal(50), 0),
    "starter": (Decimal(250), 40),
    "pro": (Decimal(1000), 100),
    "max": (Decimal(1750), 40),
}
PRICES = {
    "claude-haiku-4-5": ("20", "100", "2", "25"),
    "gemini-2.5-pro": ("25", "200", "6.25", "32.5"),
    "gemma-free": ("0", "0", "0", "0"),
    "gpt-5-mini": ("5", "40", "0.5", "5"),
}
TICK = timedelta(microseconds=1)
NEVER = datetime.max.replace(tzinfo=UTC)
A_HOLD_LASTS = timedelta(minutes=15)
# A token of its input costs the least there is, so a hold can be made to the millionth.
CHEAP = "gpt-5-mini"
FREE = "gemma-free"
CHEAP_TOKEN = Decimal("0.000005")

# Month ends, and a leap year's February on the way.
JOINED = [
    datetime(2027, 10, 31, 9, 30, tzinfo=UTC),
    datetime(2027, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2027, 8, 15, tzinfo=UTC),
]
FIRST_DAY = datetime(2027, 12, 3, 11, tzinfo=UTC)


def month(anchor: datetime, number: int) -> datetime:
    year, index = divmod(anchor.year * 12 + anchor.month - 1 + number, 12)
    day = min(anchor.day, calendar.monthrange(year, index + 1)[1])
    return anchor.replace(year=year, month=index + 1, day=day)


def month_with(anchor: datetime, moment: datetime) -> tuple[datetime, datetime]:
    number = 0
    while month(anchor, number + 1) <= moment:
        number += 1
    return month(anchor, number), month(anchor, number + 1)


def cap(plan: str, credits: Decimal) -> Decimal:
    return (credits * PLANS[plan][1] / 100).quantize(MICRO, ROUND_HALF_UP)


@dataclass
class Request:
    """One AI request: what is sent, and what it must cost."""

    request_id: str
    model: str
    occurred_at: datetime
    tokens: tuple[int, int, int, int]
    hold: str | None = field(default=None, compare=False)

    @property
    def credits(self) -> Decimal:
        pairs = zip(self.tokens, PRICES[self.model], strict=True)
        exact = sum((tokens * Decimal(price) for tokens, price in pairs), Decimal(0)) / 1_000_000
        return exact.quantize(MICRO, ROUND_HALF_UP)

    def sent_by(self, account: User) -> Event:
        return {
            "request_id": self.request_id,
            "account": str(account.id),
            "model": self.model,
            "occurred_at": self.occurred_at,
            "input_tokens": self.tokens[0],
            "output_tokens": self.tokens[1],
            "cache_read_tokens": self.tokens[2],
            "cache_write_tokens": self.tokens[3],
            "hold": self.hold,
        }


@dataclass
class Term:
    """A period."""

    plan: str
    start: datetime
    end: datetime
    anchor: datetime
    paid_until: datetime | None
    allocation: Decimal
    rollover: Decimal
    drawn: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(DRAWN_AS.values(), Decimal(0)))
    closed: bool = False


@dataclass
class Gift:
    """A grant."""

    kind: int
    amount: Decimal
    expires: datetime | None
    made: tuple[datetime, int]
    remaining: Decimal
    withdrawn: Decimal = Decimal(0)
    taken: Decimal = Decimal(0)
    term: Term | None = None

    @property
    def turn(self) -> tuple[int, datetime, tuple[datetime, int]]:
        return self.kind, self.expires or NEVER, self.made


@dataclass
class Promise:
    """A hold. Its price is the dearest its prompt can come to, and all of the answer."""

    request_id: str
    model: str
    tokens: tuple[int, int]
    expires: datetime
    state: str = "open"
    id: str = ""

    @property
    def amount(self) -> Decimal:
        price_in, price_out, price_read, price_write = map(Decimal, PRICES[self.model])
        exact = self.tokens[0] * max(price_in, price_read, price_write) + self.tokens[1] * price_out
        return (exact / 1_000_000).quantize(MICRO, ROUND_HALF_UP)

    def end(self, state: str) -> None:
        """Change the state, where it may: a late request settles a lapsed hold, and other ends are final."""
        if self.state in ("open", "lapsed"):
            self.state = state


@dataclass
class Book:
    joined: datetime
    debt: Decimal = Decimal(0)
    gifts: list[Gift] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)
    lines: list[tuple[str, Decimal]] = field(default_factory=list)
    paid: set[str] = field(default_factory=set)
    grown: set[tuple[str, int]] = field(default_factory=set)
    numbers: count[int] = field(default_factory=count)

    @property
    def open_term(self) -> Term | None:
        return self.terms[-1] if self.terms else None

    @property
    def held(self) -> Decimal:
        return sum((p.amount for p in self.promises.values() if p.state == "open"), Decimal(0))

    @property
    def available(self) -> Decimal:
        return sum((gift.remaining for gift in self.gifts), Decimal(0)) - self.held

    def give(
        self, kind: int, amount: Decimal, now: datetime, *, expires: datetime | None = None, term: Term | None = None
    ) -> Gift:
        gift = Gift(kind, amount, expires, (now, next(self.numbers)), remaining=amount, term=term)
        self.gifts.append(gift)
        self.lines.append((KINDS[kind], amount))
        return gift

    def draw(self, credits: Decimal) -> None:
        """Draw from courtesy, rollover, allocation, bought; of each the first to end, then the oldest; else debt."""
        term = self.terms[-1]
        self.debt += credits
        for gift in sorted(self.gifts, key=lambda gift: gift.turn):
            part = min(self.debt, gift.remaining)
            gift.remaining -= part
            self.debt -= part
            term.drawn[DRAWN_AS[gift.kind]] += part

    def lapse(self, now: datetime) -> None:
        for gift in self.gifts:
            if gift.kind == COURTESY and gift.remaining and gift.expires and gift.expires <= now:
                self.lines.append(("forfeited", -gift.remaining))
                gift.withdrawn += gift.remaining
                gift.remaining = Decimal(0)

    def close(self) -> Decimal:
        """End the open period. Returns the credits that roll over."""
        term = self.terms[-1]
        term.closed = True
        mine = [gift for gift in self.gifts if gift.term is term]
        unused = sum((gift.remaining for gift in mine), Decimal(0))
        unused_allocation = sum((gift.remaining for gift in mine if gift.kind == ALLOCATION), Decimal(0))
        carried = min(unused_allocation, cap(term.plan, term.allocation))
        for gift in mine:
            gift.withdrawn += gift.remaining
            gift.remaining = Decimal(0)
        self.lines += [("rolled_out", -carried)] if carried else []
        self.lines += [("forfeited", carried - unused)] if unused > carried else []
        return carried

    def open(
        self, plan: str, start: datetime, end: datetime, anchor: datetime, paid_until: datetime | None, now: datetime
    ) -> None:
        carried = self.close() if self.terms else Decimal(0)
        term = Term(plan, start, end, anchor, paid_until, PLANS[plan][0], carried)
        self.terms.append(term)
        if carried:
            self.give(ROLLOVER, carried, now, expires=end, term=term)
        self.give(ALLOCATION, term.allocation, now, expires=end, term=term)
        self.draw(Decimal(0))

    def clock(self, now: datetime) -> None:
        for promise in self.promises.values():
            if promise.state == "open" and promise.expires <= now:
                promise.state = "lapsed"
        self.lapse(now)
        term = self.open_term
        if term is None:
            start, end = month_with(self.joined, now)
            self.open("free", start, end, self.joined, None, now)
        elif term.end <= now and (term.paid_until is None or term.end < term.paid_until):
            moment = min(now, term.paid_until - TICK) if term.paid_until else now
            start, end = month_with(term.anchor, moment)
            self.open(term.plan, start, end, term.anchor, term.paid_until, now)

    def pay(
        self, key: str, plan: str, start: datetime, end: datetime, paid_until: datetime | None, now: datetime
    ) -> None:
        anchor, paid_until = start, paid_until or end
        self.lapse(now)
        if key in self.paid:
            return
        self.paid.add(key)
        free = [t.start for t in self.terms if t.paid_until is None and anchor <= t.start < paid_until - TICK]
        if free:
            start = max(free) + TICK
            end = month_with(anchor, start)[1] if start >= end else end
        if self.terms and self.terms[-1].start >= start:
            self.insert(plan, start, end, anchor, paid_until, now)
        else:
            self.open(plan, start, end, anchor, paid_until, now)
            self.clock(now)

    def insert(
        self, plan: str, start: datetime, end: datetime, anchor: datetime, paid_until: datetime, now: datetime
    ) -> None:
        """Open a period that lies before the open one, and close it at once; month by month until the next period."""
        until = min(paid_until, *(term.start for term in self.terms if term.start >= start))
        while True:
            begin = start
            while begin in {term.start for term in self.terms}:
                begin -= TICK
            term = Term(plan, begin, end, anchor, paid_until, Decimal(0), Decimal(0), closed=True)
            self.terms = sorted([*self.terms, term], key=lambda term: term.start)
            if self.terms[-2] is term:
                self.displace_rollover()
            self.allocate_closed(term, PLANS[plan][0], now)
            start, end = end, month_with(anchor, end)[1]
            if start >= until:
                return

    def displace_rollover(self) -> None:
        for gift in self.gifts:
            if gift.term is self.terms[-1] and gift.kind == ROLLOVER and gift.remaining:
                self.lines.append(("forfeited", -gift.remaining))
                self.terms[-1].rollover -= gift.remaining
                gift.withdrawn += gift.remaining
                gift.remaining = Decimal(0)

    def allocate_closed(self, term: Term, credits: Decimal, now: datetime) -> None:
        gift = self.give(ALLOCATION, credits, now, expires=term.end, term=term)
        gift.remaining, gift.withdrawn = Decimal(0), credits
        term.allocation += credits
        carried = cap(term.plan, credits) if self.terms[-2] is term else Decimal(0)
        self.lines += [("rolled_out", -carried)] if carried else []
        self.lines += [("forfeited", carried - credits)] if credits > carried else []
        if carried:
            self.add(self.terms[-1], ROLLOVER, carried, now)

    def add(self, term: Term, kind: int, credits: Decimal, now: datetime) -> None:
        if kind == ROLLOVER:
            term.rollover += credits
        else:
            term.allocation += credits
        self.give(kind, credits, now, expires=term.end, term=term)
        self.draw(Decimal(0))

    def upgrade(self, key: str, plan: str, instead_of: str | None, at: datetime, now: datetime) -> bool:
        self.clock(now)
        terms = [term for term in self.terms if term.paid_until and term.anchor <= at < term.end]
        newest = max((term.anchor for term in terms), default=None)
        by_month = {month_with(t.anchor, t.start): t for t in self.terms if t in terms and t.anchor == newest}
        for number, term in enumerate(by_month.values()):
            difference = PLANS[plan][0] - PLANS[instead_of or term.plan][0]
            if difference > 0:
                self.grow(term, plan, difference, at, (key, number), now)
        return bool(by_month)

    def grow(
        self, term: Term, plan: str, difference: Decimal, at: datetime, key: tuple[str, int], now: datetime
    ) -> None:
        begin = month_with(term.anchor, term.start)[0]
        share = Fraction((term.end - max(at, begin)) // TICK, (term.end - begin) // TICK)
        credits = Decimal(floor(Fraction(difference) * share * 1_000_000 + Fraction(1, 2))).scaleb(-6)
        term.plan = max(plan, term.plan, key=lambda plan: PLANS[plan][0])
        given = sum((g.amount for g in self.gifts if g.term is term and g.kind == ALLOCATION), Decimal(0))
        credits = min(credits, PLANS[term.plan][0] - given)
        if credits <= 0 or key in self.grown:
            return
        self.grown.add(key)
        if term.closed:
            self.allocate_closed(term, credits, now)
        else:
            self.add(term, ALLOCATION, credits, now)

    def stop_paying(self, from_: datetime, now: datetime) -> None:
        self.lapse(now)
        term = self.open_term
        if term is None:
            self.open("free", *month_with(from_, now), from_, None, now)
        elif term.paid_until:
            earliest = term.start + TICK
            start, end = month_with(from_, max(now, earliest))
            self.open("free", max(start, earliest), end, from_, None, now)
        self.clock(now)

    def use(self, requests: list[Request], now: datetime) -> tuple[int, int, int]:
        """Return how many are accepted, known already and rejected: in conflict, or with a hold of another account."""
        self.clock(now)
        own = {promise.id: promise for promise in self.promises.values()}
        accepted = duplicates = refused = 0
        for request in requests:
            if request.hold and request.hold not in own:
                refused += 1
                continue
            known = self.requests.setdefault(request.request_id, request)
            if known != request:
                refused += 1
                continue
            if known is request:
                accepted += 1
                self.draw(request.credits)
            else:
                duplicates += 1
            if request.hold:
                own[request.hold].end("settled")
        return accepted, duplicates, refused

    def promise(self, wished: Promise, now: datetime) -> str:
        """Return the outcome of the wish: a promise, the same one again, a conflict, or too little for it."""
        self.clock(now)
        known = self.promises.get(wished.request_id)
        if known:
            same = (known.model, known.tokens, known.state) == (wished.model, wished.tokens, "open")
            return "again" if same else "conflict"
        if wished.model != FREE and (self.available <= 0 or wished.amount > self.available):
            return "short"
        self.promises[wished.request_id] = wished
        return "promised"

    def take_back(self, gift: Gift, credits: Decimal, now: datetime) -> bool:
        closed_before = gift.term and gift.term.closed
        given = gift.amount - gift.withdrawn
        if closed_before or credits > given:
            return False
        assert self.open_term
        part = min(credits, gift.remaining)
        gift.remaining -= part
        gift.withdrawn += credits
        gift.taken += credits
        self.lines.append(("voided", -credits))
        self.open_term.drawn[DRAWN_AS[gift.kind]] -= credits - part
        if gift.kind == ALLOCATION:
            self.open_term.allocation -= credits
        if gift.kind == ROLLOVER:
            self.open_term.rollover -= credits
        self.draw(credits - part)
        return True

    def give_back(self, gift: Gift, credits: Decimal, now: datetime) -> bool:
        lapsed = gift.kind == COURTESY and gift.expires and gift.expires <= now
        if credits > gift.taken or lapsed or (gift.term and gift.term.closed):
            return False
        gift.taken -= credits
        gift.withdrawn -= credits
        gift.remaining += credits
        if gift.kind == ALLOCATION:
            self.terms[-1].allocation += credits
        if gift.kind == ROLLOVER:
            self.terms[-1].rollover += credits
        self.lines.append(("restored", credits))
        self.draw(Decimal(0))
        return True

    def used(self, term: Term) -> Decimal:
        """Return the usage that occurred between this period's start and the next one's, whenever it was reported."""
        place = self.terms.index(term)
        end = self.terms[place + 1].start if term.closed else NEVER
        return sum((r.credits for r in self.requests.values() if term.start <= r.occurred_at < end), Decimal(0))


amounts = st.one_of(
    st.integers(1, 400).map(Decimal), st.integers(1, 400_000_000).map(lambda micro: Decimal(micro).scaleb(-6))
)
some_account = st.integers(0, len(JOINED) - 1)
a_while = st.one_of(
    st.sampled_from([timedelta(0), TICK, timedelta(days=28), timedelta(days=31)]),
    st.timedeltas(timedelta(0), timedelta(days=45)),
)
long_ago = st.one_of(a_while, st.timedeltas(timedelta(0), timedelta(days=400)))
pauses = st.one_of(
    st.timedeltas(timedelta(minutes=1), timedelta(days=3)),
    st.timedeltas(TICK, A_HOLD_LASTS),
    st.timedeltas(timedelta(days=20), timedelta(days=100)),
    st.sampled_from([TICK, timedelta(days=1), timedelta(days=31)]),
)
tokens = st.tuples(*[st.one_of(st.integers(0, 50), st.integers(0, 2_000_000))] * 4)
ages = st.one_of(
    st.timedeltas(timedelta(minutes=-5), timedelta(hours=2)),
    st.timedeltas(timedelta(0), timedelta(days=150)),
)
usages = st.tuples(some_account, st.sampled_from(sorted(PRICES)), ages, tokens)
# Places 0, 1, … are the newest holds, which are open still.
some_hold = st.one_of(st.integers(0, 2), st.integers(0, 999))


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @initialize()
    def begin(self) -> None:
        Plan.objects.filter(slug="starter").update(rollover_percent=PLANS["starter"][1])
        credits, percent = PLANS["max"]
        largest = Plan.objects.create(
            slug="max", name="Max", position=9, monthly_credits=credits, rollover_percent=percent
        )
        largest.prices.create(interval="month", amount=9900)
        free = dict.fromkeys(("input", "output", "cache_read", "cache_write"), 0)
        ModelPrice.objects.create(
            model=AIModel.objects.create(name=FREE), valid_from=datetime(2020, 1, 1, tzinfo=UTC), **free
        )
        users = [User(email=f"{place}@example.com", date_joined=joined) for place, joined in enumerate(JOINED)]
        self.users = User.objects.bulk_create(users)
        self.books = [Book(joined) for joined in JOINED]
        self.now = FIRST_DAY
        self.keys = count()
        self.sent: list[tuple[int, Request]] = []
        self.gifts: list[tuple[int, Grant, Gift]] = []
        self.taken: list[tuple[int, Grant, Gift, Decimal]] = []
        self.promised: list[tuple[int, Promise]] = []
        self.repeatable: list[Callable[[], None]] = []

    def key(self, what: str) -> str:
        return f"{what}:{next(self.keys)}"

    def once(self, call: Callable[[], None]) -> None:
        """Make a call that may be made again at any later time."""
        call()
        self.repeatable.append(call)

    @rule(pause=pauses)
    def time_passes(self, pause: timedelta) -> None:
        self.now += pause

    @rule(
        new=st.lists(usages, max_size=6),
        again=st.lists(st.tuples(st.integers(0, 999), st.none() | some_hold), max_size=3),
        data=st.data(),
    )
    def requests_are_reported(
        self,
        new: list[tuple[int, str, timedelta, tuple[int, int, int, int]]],
        again: list[tuple[int, int | None]],
        data: st.DataObject,
    ) -> None:
        batch = [
            (account, Request(self.key("request"), model, self.now - age, tokens))
            for account, model, age, tokens in new
        ]
        self.sent += batch
        for place, hold in again if self.sent else []:
            account, request = self.sent[place % len(self.sent)]
            changed = place % 5 == 0
            tokens = (request.tokens[0] + 1, *request.tokens[1:]) if changed else request.tokens
            named = self.hold_id(hold, of=account)
            batch.append((account, Request(request.request_id, request.model, request.occurred_at, tokens, named)))
        self.report(data.draw(st.permutations(batch)))

    @precondition(lambda self: self.promised)
    @rule(calls=st.lists(st.tuples(some_hold, st.sampled_from(["0", "0.4", "1", "2.5"]), some_account), max_size=3))
    def promised_calls_end(self, calls: list[tuple[int, str, int]]) -> None:
        """The call uses nothing, less, as much or more than was promised. A hold of another account is refused."""
        batch = []
        for place, share, stranger in calls:
            account, promise = self.promised[-1 - place % len(self.promised)]
            account = stranger if place % 7 == 6 else account
            tokens = (int(promise.amount * Decimal(share) / CHEAP_TOKEN), 0, 0, 0)
            batch.append((account, Request(self.key("request"), CHEAP, self.now, tokens, promise.id)))
        self.report(batch)
        self.sent += [(account, request) for account, request in batch if self.stored(account, request)]

    def hold_id(self, place: int | None, *, of: int) -> str | None:
        ids = [promise.id for account, promise in self.promised if account == of]
        return ids[-1 - place % len(ids)] if ids and place is not None else None

    def stored(self, account: int, request: Request) -> bool:
        return request.request_id in self.books[account].requests

    def report(self, batch: list[tuple[int, Request]]) -> None:
        events = [request.sent_by(self.users[account]) for account, request in batch]
        receipt = recording.record(events, max_age=timedelta.max, now=self.now)
        answers = [
            self.books[account].use([request for owner, request in batch if owner == account], self.now)
            for account in {account for account, _ in batch}
        ]
        expected = tuple(map(sum, zip(*answers, strict=True))) or (0, 0, 0)
        assert (receipt.accepted, receipt.duplicates, len(receipt.rejected)) == expected

    @rule(
        account=some_account,
        model=st.sampled_from(sorted(PRICES)),
        tokens=st.tuples(*[st.one_of(st.integers(0, 50), st.integers(0, 500_000))] * 2),
    )
    def a_call_is_promised(self, account: int, model: str, tokens: tuple[int, int]) -> None:
        self.reserve(account, self.key("call"), model, tokens)

    @rule(account=some_account, more=st.sampled_from([0, 0, 1]))
    def all_that_is_there_is_promised(self, account: int, more: int) -> None:
        """All that is available is promised, or a token more, which must be refused."""
        self.books[account].clock(self.now)
        periods.open_due([self.users[account].id], self.now)
        there = max(self.books[account].available, Decimal(0))
        self.reserve(account, self.key("call"), CHEAP, (int(there / CHEAP_TOKEN) + more, 0))

    @precondition(lambda self: self.promised)
    @rule(place=some_hold, more=st.integers(0, 1))
    def a_promise_is_asked_for_again(self, place: int, more: int) -> None:
        account, promise = self.promised[-1 - place % len(self.promised)]
        self.reserve(account, promise.request_id, promise.model, (promise.tokens[0], promise.tokens[1] + more))

    def reserve(self, account: int, request_id: str, model: str, tokens: tuple[int, int]) -> None:
        user, book = self.users[account], self.books[account]

        def call() -> None:
            wished = Promise(request_id, model, tokens, self.now + A_HOLD_LASTS)
            reserve = partial(
                holds.reserve,
                user.id,
                request_id=request_id,
                model=model,
                input_tokens=tokens[0],
                max_output_tokens=tokens[1],
                now=self.now,
            )
            answer = book.promise(wished, self.now)
            if answer == "conflict":
                with pytest.raises(holds.HoldConflict):
                    reserve()
            elif answer == "short":
                with pytest.raises(holds.InsufficientCredits) as short:
                    reserve()
                assert short.value.available == max(book.available, Decimal(0))
                assert short.value.required == wished.amount
            elif answer == "again":
                assert str(reserve().id) == book.promises[request_id].id
            else:
                wished.id = str(reserve().id)
                self.promised.append((account, wished))
                assert book.available >= 0 or model == FREE

        self.once(call)

    @precondition(lambda self: self.promised)
    @rule(place=some_hold)
    def a_call_fails(self, place: int) -> None:
        account, promise = self.promised[-1 - place % len(self.promised)]

        def call() -> None:
            self.books[account].clock(self.now)
            if promise.state == "settled":
                with pytest.raises(holds.HoldConflict):
                    holds.release(uuid.UUID(promise.id), now=self.now)
            else:
                holds.release(uuid.UUID(promise.id), now=self.now)
                promise.end("released")

        self.once(call)

    @rule(account=some_account, credits=amounts, lasts=st.none() | st.timedeltas(TICK, timedelta(days=60)))
    def courtesy_is_given(self, account: int, credits: Decimal, lasts: timedelta | None) -> None:
        self.give(account, Grant.Kind.COURTESY, credits, self.now + lasts if lasts else None)

    @rule(account=some_account, credits=amounts)
    def credits_are_bought(self, account: int, credits: Decimal) -> None:
        self.give(account, Grant.Kind.PURCHASED, credits, None)

    def give(self, account: int, kind: Grant.Kind, credits: Decimal, expires_at: datetime | None) -> None:
        key, user, book, known = self.key("grant"), self.users[account], self.books[account], set[str]()

        def call() -> None:
            grant = ledger_grants.grant(
                user.id, credits, kind=kind, source_key=key, expires_at=expires_at, now=self.now
            )
            book.clock(self.now)
            if key not in known:
                gift = book.give(int(kind), credits, self.now, expires=expires_at)
                book.draw(Decimal(0))
                self.gifts.append((account, grant, gift))
            known.add(key)

        self.once(call)

    @rule(
        account=some_account,
        plan=st.sampled_from(["starter", "pro"]),
        late=long_ago,
        soon=st.booleans(),
        year=st.booleans(),
    )
    def a_period_is_paid(self, account: int, plan: str, late: timedelta, soon: bool, year: bool) -> None:
        start = self.now + timedelta(hours=1) if soon and late < timedelta(days=1) else self.now - late
        end, paid_until = month(start, 1), month(start, 12) if year else None
        key, user, book = self.key("payment"), self.users[account], self.books[account]

        def call() -> None:
            book.pay(key, plan, start, end, paid_until, self.now)
            periods.open_paid(
                user.id,
                plan=Plan.objects.get(slug=plan),
                starts_at=start,
                ends_at=end,
                paid_until=paid_until,
                source_key=key,
                now=self.now,
            )

        self.once(call)

    @rule(
        account=some_account,
        plan=st.sampled_from(["starter", "pro", "max"]),
        instead_of=st.sampled_from(["starter", "pro", None]),
        back=st.one_of(st.just(timedelta(0)), long_ago),
    )
    def a_plan_is_changed(self, account: int, plan: str, instead_of: str | None, back: timedelta) -> None:
        key, user, book, at = self.key("change"), self.users[account], self.books[account], self.now - back

        def call() -> None:
            plans = Plan.objects.in_bulk()
            found = upgrades.grow(
                user.id,
                plan=plans[plan],
                instead_of=plans[instead_of] if instead_of else None,
                at=at,
                source_key=key,
                now=self.now,
            )
            assert found == book.upgrade(key, plan, instead_of, at, self.now)

        self.once(call)

    @rule(account=some_account, late=a_while)
    def a_plan_ends(self, account: int, late: timedelta) -> None:
        user, book, from_ = self.users[account], self.books[account], self.now - late

        def call() -> None:
            periods.open_free(user.id, starts_at=from_, now=self.now)
            book.stop_paying(from_, self.now)

        self.once(call)

    @precondition(lambda self: self.gifts)
    @rule(place=st.integers(0, 999), share=st.fractions(0, 1, max_denominator=4))
    def given_credits_are_taken_back(self, place: int, share: float) -> None:
        account, grant, gift = self.gifts[place % len(self.gifts)]
        self.take_back(account, grant, gift, Decimal(float(share)))

    @rule(account=some_account, place=st.integers(0, 3), share=st.fractions(0, 1, max_denominator=4))
    def credits_of_a_plan_are_taken_back(self, account: int, place: int, share: float) -> None:
        """The newest ones, as a refund would; those of closed periods too, which must be refused."""
        gifts = [gift for gift in self.books[account].gifts if gift.term]
        grants = Grant.objects.filter(account=self.users[account], period__isnull=False).order_by("-id")
        if place < len(gifts):
            self.take_back(account, grants[place], gifts[-1 - place], Decimal(float(share)))

    def take_back(self, account: int, grant: Grant, gift: Gift, share: Decimal) -> None:
        credits = (gift.amount * share).quantize(MICRO) or MICRO
        key, book, known = self.key("void"), self.books[account], set()

        def call() -> None:
            state = (list(book.lines), book.debt)
            if key not in known:
                # A refusal rolls back what the clock did on the way, so it comes first in the model.
                periods.open_due([grant.account_id], self.now)
            book.clock(self.now)
            if key in known or book.take_back(gift, credits, self.now):
                if key not in known:
                    self.taken.append((account, grant, gift, credits))
                known.add(key)
                entry = ledger_grants.void(grant, credits, source_key=key, reason="machine", now=self.now)
                assert entry.amount == -credits
            else:
                assert state is not None
                with pytest.raises(ledger_grants.NothingLeftToVoid):
                    ledger_grants.void(grant, credits, source_key=key, reason="machine", now=self.now)

        self.once(call)

    @precondition(lambda self: self.taken)
    @rule(place=st.integers(0, 999), share=st.sampled_from([1, 1, 1, Decimal("0.25"), Decimal("1.5")]))
    def what_was_taken_is_given_back(self, place: int, share: int | Decimal) -> None:
        account, grant, gift, taken = self.taken[place % len(self.taken)]
        credits = (taken * share).quantize(MICRO, ROUND_HALF_UP) or MICRO
        key, book, known = self.key("restore"), self.books[account], set()

        def call() -> None:
            # As with taking back, a refusal rolls back what the clock did on the way.
            periods.open_due([grant.account_id], self.now)
            book.clock(self.now)
            if key in known or book.give_back(gift, credits, self.now):
                known.add(key)
                entry = ledger_grants.restore(grant, credits, source_key=key, reason="machine", now=self.now)
                assert entry.amount == credits
            else:
                with pytest.raises(ledger_grants.NothingToRestore):
                    ledger_grants.restore(grant, credits, source_key=key, reason="machine", now=self.now)

        self.once(call)

    @precondition(lambda self: self.promised)
    @rule(place=some_hold, before=st.sampled_from([TICK, timedelta(0)]))
    def a_call_is_not_heard_of_again(self, place: int, before: timedelta) -> None:
        account, promise = self.promised[-1 - place % len(self.promised)]
        self.now = max(self.now, promise.expires - before)
        self.readers_come({account})

    @precondition(lambda self: self.repeatable)
    @rule(place=st.integers(0, 999))
    def a_call_is_repeated(self, place: int) -> None:
        self.repeatable[place % len(self.repeatable)]()

    @rule(accounts=st.sets(some_account, min_size=1))
    def some_readers_come(self, accounts: set[int]) -> None:
        self.readers_come(accounts)

    def readers_come(self, accounts: set[int]) -> None:
        periods.open_due([self.users[account].id for account in accounts], self.now)
        for account in accounts:
            self.books[account].clock(self.now)

    @rule()
    def the_hourly_job_runs(self) -> None:
        periods.open_all_due(self.now)
        for book in self.books:
            if book.terms:
                book.clock(self.now)

    @invariant()
    def both_say_the_same(self) -> None:
        wallets = {wallet.account_id: (wallet.debt, wallet.held) for wallet in Wallet.objects.all()}
        promises = list(Hold.objects.order_by("request_id"))
        grants = list(Grant.objects.order_by("id"))
        terms = list(CreditPeriod.objects.order_by("starts_at"))
        lines = list(LedgerEntry.objects.order_by("id"))
        for user, book in zip(self.users, self.books, strict=True):
            assert wallets.get(user.id, (0, 0)) == (book.debt, book.held)
            assert [
                (str(h.id), h.request_id, h.amount, h.expires_at, h.state) for h in promises if h.account_id == user.id
            ] == [(p.id, name, p.amount, p.expires, p.state) for name, p in sorted(book.promises.items())]
            mine = sorted(
                (g for g in grants if g.account_id == user.id),
                key=lambda g: (g.kind, g.expires_at or NEVER, g.created_at, g.id),
            )
            assert [(g.kind, g.amount, g.remaining, g.withdrawn) for g in mine] == [
                (g.kind, g.amount, g.remaining, g.withdrawn) for g in sorted(book.gifts, key=lambda g: g.turn)
            ]
            assert [
                (
                    *(t.plan_id, t.starts_at, t.ends_at, t.paid_until, t.closed_at is not None),
                    *(t.allocation, t.rollover, t.used, t.plan_used, t.additional_used, t.courtesy_used),
                )
                for t in terms
                if t.account_id == user.id
            ] == [
                (
                    *(t.plan, t.start, t.end, t.paid_until, t.closed),
                    *(t.allocation, t.rollover, book.used(t)),
                    *(t.drawn["plan"], t.drawn["additional"], t.drawn["courtesy"]),
                )
                for t in book.terms
            ]
            assert sorted((e.kind, e.amount) for e in lines if e.account_id == user.id) == sorted(book.lines)
        assert list(differences()) == []


@pytest.mark.django_db
def test_the_ledger_follows_the_rules_whatever_happens_in_whatever_order() -> None:  # M1 M2 M3 M4 M5 M6 M7 M8 M9 M11 P4
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=int(os.environ.get("LEDGER_EXAMPLES", "120")),
            stateful_step_count=25,
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
