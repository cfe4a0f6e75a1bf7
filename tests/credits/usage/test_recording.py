"""The effects of one call of `recording.record`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from pydantic import TypeAdapter, ValidationError

from credits.ledger import periods, spending
from credits.models import AIModel, CreditPeriod, Grant, LedgerEntry, ModelPrice, UsageEvent, UsageRollup, Wallet
from credits.usage import charging, recording, storing
from credits.usage.schemas import Event, Receipt
from sidekick.accounts.models import User
from tests.conftest import JOINED
from tests.credits.books import NOW, assert_books_balance, debt, event, left, period, remaining, use

pytestmark = pytest.mark.django_db
TICK = timedelta(microseconds=1)


def codes(receipt: Receipt) -> list[tuple[int, str]]:
    return [(rejected.index, rejected.code) for rejected in receipt.rejected]


def test_a_request_moves_row_rollups_and_balance_together(alice: User) -> None:  # M2 M3
    receipt = recording.record([event(alice)], now=NOW)
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (1, 0, [])
    assert UsageEvent.objects.get().credits == Decimal("0.174")
    assert [(r.grain, r.bucket, r.credits) for r in UsageRollup.objects.order_by("grain")] == [
        (15, NOW.replace(minute=0, second=0), Decimal("0.174")),
        (1440, NOW.replace(hour=0, minute=0, second=0), Decimal("0.174")),
    ]
    assert Grant.objects.get().remaining == Decimal("49.826")
    period = CreditPeriod.objects.get()
    assert (period.used, period.plan_used) == (Decimal("0.174"), Decimal("0.174"))
    assert_books_balance()


def test_rollups_begin_at_quarters_and_days_of_utc(alice: User) -> None:  # C6
    quarter = NOW.replace(minute=15, second=0)
    for number, moment in enumerate([quarter - TICK, quarter, quarter + timedelta(minutes=15) - TICK]):
        recording.record([event(alice, f"{number}", occurred_at=moment)], now=NOW + timedelta(hours=1))
    rollups = UsageRollup.objects.filter(grain=15).order_by("bucket").values_list("bucket", "requests")
    assert list(rollups) == [(quarter - timedelta(minutes=15), 1), (quarter, 2)]
    day = UsageRollup.objects.get(grain=1440)
    assert (day.bucket, day.requests, day.input_tokens) == (NOW.replace(hour=0, minute=0, second=0), 3, 3600)
    assert_books_balance()


def test_an_empty_batch_is_an_empty_receipt(db: None) -> None:
    assert recording.record([], now=NOW) == Receipt()


# Price (M1, M6) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "credits"),
    [
        (0, "0"),
        (1, "0.000001"),  # 0.5 millionths round up
        (2, "0.000001"),
        (3, "0.000002"),  # 1.5
        (5, "0.000003"),  # 2.5: half up, not half to even
    ],
)
def test_credits_round_half_up_once_per_request(alice: User, tokens: int, credits: str) -> None:  # M6
    request = event(alice, input_tokens=0, output_tokens=0, cache_read_tokens=tokens, model="gpt-5-mini")
    recording.record([request], now=NOW)
    assert UsageEvent.objects.get().credits == Decimal(credits)
    assert_books_balance()


def test_the_kinds_of_tokens_are_summed_before_rounding(alice: User) -> None:  # M6
    """0.25 + 0.5 millionths are 0.75: rounded one by one they would have been 1, or 0."""
    request = event(alice, model="gemini-2.5-pro", input_tokens=0, output_tokens=0, cache_read_tokens=1)
    recording.record([{**request, "cache_write_tokens": 1}], now=NOW)  # 6.25 + 32.5
    assert UsageEvent.objects.get().credits == Decimal("0.000039")


def test_the_largest_request_keeps_every_digit(alice: User) -> None:  # M6
    most = 2**31 - 1
    kinds = dict.fromkeys(["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"], most)
    recording.record([event(alice, f"{n}", model="claude-opus-4-1", **kinds) for n in range(3)], now=NOW)
    each = Decimal(most) * 2205 / 1_000_000
    assert set(UsageEvent.objects.values_list("credits", flat=True)) == {each}
    assert debt(alice) == 3 * each - 50
    assert_books_balance()


def test_the_time_of_the_request_picks_the_price_version(alice: User) -> None:  # M1
    model = AIModel.objects.get(name="gpt-5")
    change = NOW - timedelta(days=1)
    ModelPrice.objects.create(model=model, valid_from=change, input=1000, output=0, cache_read=0, cache_write=0)
    for name, moment in [("before", change - TICK), ("at", change), ("after", change + TICK)]:
        recording.record(
            [event(alice, name, model="gpt-5", input_tokens=1000, output_tokens=0, occurred_at=moment)], now=NOW
        )
    prices = dict(UsageEvent.objects.values_list("request_id", "credits"))
    assert prices == {"before": Decimal("0.025"), "at": 1, "after": 1}


def test_a_new_price_changes_nothing_that_is_stored(alice: User) -> None:  # M1
    request = event(alice, model="gpt-5", input_tokens=1000, output_tokens=0)
    recording.record([request], now=NOW)
    model = AIModel.objects.get(name="gpt-5")
    ModelPrice.objects.create(model=model, valid_from=JOINED, input=1000, output=0, cache_read=0, cache_write=0)
    again = recording.record([request], now=NOW)
    assert (again.accepted, again.duplicates) == (0, 1)
    assert UsageEvent.objects.get().credits == Decimal("0.025")
    assert_books_balance()


# Rejected events (M2) ------------------------------------------------------------------------------------------


def test_what_cannot_be_recorded_is_refused_one_by_one_and_the_rest_is_stored(alice: User) -> None:  # M2
    nobody = User(id=uuid.uuid4())
    receipt = recording.record(
        [
            event(alice, "good"),
            event(alice, "no model", model="gpt-2"),
            event(nobody, "nobody"),
            event(alice, "no id", account="alice@example.com"),
            event(alice, "before every price", occurred_at=NOW - timedelta(days=3000)),
            event(alice, "tomorrow", occurred_at=NOW + timedelta(days=1)),
            event(alice, "good too"),
            event(alice, "good"),
            event(alice, "good too", input_tokens=7),
        ],
        now=NOW,
    )
    assert codes(receipt) == [
        (1, "unknown_model"),
        (2, "unknown_account"),
        (3, "unknown_account"),
        (4, "too_old"),
        (5, "in_future"),
        (8, "conflict"),
    ]
    assert [rejected.request_id for rejected in receipt.rejected][:2] == ["no model", "nobody"]
    assert (receipt.accepted, receipt.duplicates) == (2, 1)
    assert UsageEvent.objects.count() == 2
    assert not Wallet.objects.exclude(account=alice).exists()
    assert_books_balance()


def test_a_model_is_unknown_before_its_first_price(alice: User) -> None:  # M1
    first = ModelPrice.objects.filter(model__name="gpt-5").earliest("valid_from").valid_from
    requests = [event(alice, f"{n}", model="gpt-5", occurred_at=first + n * TICK) for n in (-1, 0)]
    assert codes(recording.record(requests, max_age=timedelta.max, now=NOW)) == [(0, "unknown_model")]


def test_the_age_limit_is_inclusive(alice: User) -> None:
    oldest = NOW - settings.USAGE_MAX_AGE
    receipt = recording.record(
        [event(alice, "a", occurred_at=oldest), event(alice, "b", occurred_at=oldest - TICK)], now=NOW
    )
    assert codes(receipt) == [(1, "too_old")]


def test_the_limit_ahead_is_inclusive(alice: User) -> None:
    newest = NOW + settings.USAGE_MAX_AHEAD
    receipt = recording.record(
        [event(alice, "a", occurred_at=newest), event(alice, "b", occurred_at=newest + TICK)], now=NOW
    )
    assert codes(receipt) == [(1, "in_future")]
    assert_books_balance()


def test_imports_take_requests_of_any_age(alice: User) -> None:  # M10
    old = event(alice, occurred_at=NOW - timedelta(days=2000))
    assert recording.record([old], max_age=timedelta.max, now=NOW).accepted == 1


def test_the_spelling_of_an_account_id_does_not_matter(alice: User) -> None:
    spellings = [str(alice.id), str(alice.id).upper(), alice.id.hex, f"{{{alice.id}}}"]
    receipt = recording.record([event(alice, account=spelling) for spelling in spellings], now=NOW)
    assert (receipt.accepted, receipt.duplicates) == (1, 3)


# The same again (M2) -------------------------------------------------------------------------------------------


def test_sending_anything_again_changes_nothing(alice: User, charlie: User) -> None:  # M2
    batch = [event(who, f"{n}", input_tokens=n * 9999) for n in range(9) for who in (alice, charlie)]
    recording.record(batch, now=NOW)
    tables: list[type[Model]] = [UsageEvent, UsageRollup, Grant, CreditPeriod, Wallet, LedgerEntry]
    before = [list(table._default_manager.order_by("pk").values()) for table in tables]
    for again in (batch, batch[::-1], batch[3:5] * 4):
        receipt = recording.record(again, now=NOW + timedelta(hours=1))
        assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (0, len(again), [])
    assert [list(table._default_manager.order_by("pk").values()) for table in tables] == before


def test_a_request_twice_in_one_batch_counts_once(alice: User) -> None:  # M2
    receipt = recording.record([event(alice), event(alice), event(alice)], now=NOW)
    assert (receipt.accepted, receipt.duplicates) == (1, 2)
    assert remaining(alice) == Decimal("49.826")
    assert_books_balance()


CHANGES: dict[str, object] = {
    "model": "gpt-5",
    "occurred_at": NOW - TICK,
    "input_tokens": 1,
    "output_tokens": 1,
    "cache_read_tokens": 1,
    "cache_write_tokens": 1,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("together", [True, False])
def test_a_request_id_with_other_content_is_a_conflict(alice: User, name: str, together: bool) -> None:  # M2
    first, second = event(alice), event(alice, **{name: CHANGES[name]})
    if together:
        receipt = recording.record([first, second], now=NOW)
    else:
        recording.record([first], now=NOW)
        receipt = recording.record([event(alice, "other"), second], now=NOW)
    assert codes(receipt) == [(1, "conflict")]
    assert receipt.accepted == 1
    assert UsageEvent.objects.get(request_id="req_1").credits == Decimal("0.174")
    assert_books_balance()


def test_two_accounts_may_use_the_same_request_id(alice: User, charlie: User) -> None:  # M2
    receipt = recording.record([event(alice), event(charlie, input_tokens=5)], now=NOW)
    assert (receipt.accepted, receipt.rejected) == (2, [])


def test_the_same_time_in_another_zone_is_the_same_request(alice: User) -> None:  # M2
    recording.record([event(alice)], now=NOW)
    for zone in (ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-3, minutes=-30))):
        assert recording.record([event(alice, occurred_at=NOW.astimezone(zone))], now=NOW).duplicates == 1


@pytest.mark.parametrize("fold", [0, 1])
def test_a_request_of_the_hour_that_autumn_repeats_can_be_sent_again(alice: User, fold: int) -> None:  # M2 M10
    """Python finds such a time equal to no time of another zone."""
    moment = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    request = event(alice, occurred_at=moment)
    assert recording.record([request], now=moment).accepted == 1
    receipt = recording.record([request, request], now=moment)
    assert (receipt.duplicates, receipt.rejected) == (2, [])
    assert UsageEvent.objects.get().occurred_at.hour == fold


# Drawing and periods (M3, M5, M7) ------------------------------------------------------------------------------


def test_what_nothing_covers_becomes_a_debt(alice: User) -> None:  # M5
    use(alice, 49)
    use(alice, 3)
    use(alice, 4)
    assert (left(alice), debt(alice)) == ([], 6)
    assert (period(alice).used, period(alice).plan_used) == (56, 50)
    assert_books_balance()


def test_late_usage_counts_where_it_occurred_and_is_drawn_from_what_is_there_today(alice: User) -> None:  # M7
    june, july = datetime.fromisoformat("2026-05-31T09:30Z"), datetime.fromisoformat("2026-06-30T09:30Z")
    for now in (NOW, june, july):
        periods.open_due([alice.id], now)
    use(alice, 1, now=july, at=june - TICK)
    use(alice, 2, now=july, at=june)
    use(alice, 4, now=july, at=july - TICK)
    use(alice, 8, now=july, at=july)
    use(alice, 16, now=july, at=JOINED)
    figures = CreditPeriod.objects.order_by("starts_at").values_list("used", "plan_used")
    assert list(figures) == [(1, 0), (6, 0), (8, 31)]
    assert left(alice) == [("allocation", 19)]
    assert_books_balance()


def test_a_request_that_costs_nothing_is_recorded(alice: User) -> None:
    use(alice, 0)
    assert (UsageEvent.objects.count(), remaining(alice)) == (1, 50)
    assert_books_balance()


def test_a_batch_draws_from_each_account_its_own(alice: User, charlie: User) -> None:  # M3
    million = {"model": "claude-haiku-4-5", "output_tokens": 0}
    receipt = recording.record(
        [
            event(alice, "a", input_tokens=500_000, **million),
            event(charlie, "b", input_tokens=1_500_000, **million),
            event(alice, "c", input_tokens=3_000_000, **million),
            event(charlie, "d", input_tokens=500_000, **million),
        ],
        now=NOW,
    )
    assert receipt.accepted == 4
    assert (left(alice), debt(alice), period(alice).used) == ([], 20, 70)
    assert (left(charlie), debt(charlie), period(charlie).used) == ([("allocation", 10)], 0, 40)
    assert_books_balance()


# All or nothing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["roll_up", "charge", "draw"])
def test_a_crash_in_the_middle_leaves_nothing(alice: User, step: str, monkeypatch: pytest.MonkeyPatch) -> None:  # M2
    periods.open_due([alice.id], NOW)

    def crash(*_: object) -> None:
        assert UsageEvent.objects.count() == 1, "the rows are there when it happens"
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr({"roll_up": storing, "charge": charging, "draw": spending}[step], step, crash)
        with pytest.raises(RuntimeError):
            recording.record([event(alice)], now=NOW)
    assert not UsageEvent.objects.exists()
    assert not UsageRollup.objects.exists()
    assert (remaining(alice), period(alice).used) == (50, 0)
    assert recording.record([event(alice)], now=NOW).accepted == 1
    assert_books_balance()


def statements(call: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as queries:
        call()
    return len(queries)


def test_a_thousand_requests_of_fifty_accounts_cost_as_many_statements_as_ten_of_one(alice: User) -> None:
    many = User.objects.bulk_create(User(email=f"{n}@example.com", date_joined=JOINED) for n in range(50))
    periods.open_due([alice.id, *(one.id for one in many)], NOW)
    small = [event(alice, f"{n}") for n in range(10)]
    large = [event(many[n % 50], f"{n}") for n in range(1000)]
    # Price book, wallets made, savepoint, wallets locked, rows, rollups, open periods, drawing, release.
    assert statements(lambda: recording.record(small, now=NOW)) == 9
    assert statements(lambda: recording.record(large, now=NOW)) == 9
    # Compared with what is stored, instead of the last four.
    assert statements(lambda: recording.record(large, now=NOW)) == 7
    assert UsageEvent.objects.count() == 1010
    assert_books_balance()


def test_a_model_name_that_no_database_can_hold_is_not_valid(alice: User) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        TypeAdapter(Event).validate_python(event(alice, model="gpt\0"))
