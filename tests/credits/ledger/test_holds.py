"""Holds: promised credits are there, once, until usage settles them, the call fails, or time runs out (M4)."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client

from credits.ledger import grants, holds, periods, spending
from credits.ledger.holds import HoldConflict, InsufficientCredits, UnknownAccount, UnknownModel
from credits.ledger.locking import locked
from credits.models import AIModel, Grant, Hold, ModelPrice, Wallet
from credits.usage import recording
from sidekick.accounts.models import ServiceKey, User
from tests.conftest import make_user
from tests.credits.books import (
    NOW,
    TOKENS_PER_CREDIT,
    assert_books_balance,
    at_once,
    debt,
    event,
    remaining,
    use,
    wait_until_someone_waits,
)

pytestmark = pytest.mark.django_db
HAIKU = "claude-haiku-4-5"
QUARTER = timedelta(minutes=15)
URL = "/api/v1/holds"


@pytest.fixture(autouse=True)
def _books_balance_in_the_end(request: pytest.FixtureRequest) -> Any:
    yield
    assert_books_balance()


def hold(account: User, request_id: str = "req_1", *, credits: int | str = 10, **changes: Any) -> Hold:
    """Reserve this many credits: haiku's output costs 100 credits a million."""
    tokens = int(Decimal(credits) * 10_000)
    wish: dict[str, Any] = {
        "request_id": request_id,
        "model": HAIKU,
        "input_tokens": 0,
        "max_output_tokens": tokens,
        "now": NOW,
    }
    return holds.reserve(account.id, **(wish | changes))


def used(account: User, credits: int | str, hold_id: object, request_id: str = "req_1", **changes: Any) -> Any:
    tokens = int(Decimal(credits) * TOKENS_PER_CREDIT)
    asked = {"model": HAIKU, "input_tokens": tokens, "output_tokens": 0, "hold": hold_id and str(hold_id)}
    return event(account, request_id, **(asked | changes))


def held(account: User) -> Decimal:
    return Wallet.objects.values_list("held", flat=True).get(account=account)


def state_of(given: Hold) -> str:
    return Hold.objects.values_list("state", flat=True).get(id=given.id)


def test_a_hold_promises_the_most_the_call_can_cost(alice: User) -> None:  # M4
    price = ModelPrice.objects.get(model__name=HAIKU)
    given = hold(alice, input_tokens=1000, max_output_tokens=2000)
    dearer = max(price.input, price.cache_write)
    assert given.amount == (1000 * dearer + 2000 * price.output) / 1_000_000
    assert (given.created_at, given.expires_at) == (NOW, NOW + QUARTER)
    assert held(alice) == given.amount
    assert remaining(alice) == 50


def test_the_same_request_gets_the_same_hold(alice: User) -> None:
    first = hold(alice)
    assert hold(alice, now=NOW + timedelta(minutes=3)) == first
    assert held(alice) == 10
    assert Hold.objects.count() == 1


@pytest.mark.parametrize("changes", [{"model": "gpt-5"}, {"input_tokens": 7}, {"max_output_tokens": 7}])
def test_the_same_request_id_for_another_call_is_a_conflict(alice: User, changes: dict[str, Any]) -> None:
    hold(alice)
    with pytest.raises(HoldConflict):
        hold(alice, **changes)
    assert held(alice) == 10


def test_another_account_may_use_the_same_request_id(alice: User, charlie: User) -> None:
    assert hold(alice) != hold(charlie)


def test_holds_never_promise_more_than_is_there(alice: User) -> None:
    hold(alice, "req_1", credits=30)
    with pytest.raises(InsufficientCredits) as short:
        hold(alice, "req_2", credits="20.0001")
    assert (short.value.available, short.value.required) == (20, Decimal("20.0001"))
    hold(alice, "req_3", credits=20)
    assert held(alice) == 50
    with pytest.raises(InsufficientCredits):
        hold(alice, "req_4", credits=0)


def test_a_debt_or_nothing_left_refuses_every_hold(alice: User) -> None:  # M5
    use(alice, 53)
    with pytest.raises(InsufficientCredits) as short:
        hold(alice, credits=0)
    assert short.value.available == 0
    assert not Hold.objects.exists()


def priced(name: str = "gemma-free", /, **prices: int) -> str:
    """A model that is free but for the prices that are named. Returns its name."""
    zero = dict.fromkeys(("input", "output", "cache_read", "cache_write"), 0)
    model, _ = AIModel.objects.get_or_create(name=name)
    ModelPrice.objects.create(model=model, valid_from=NOW - timedelta(days=1), **(zero | prices))
    return name


@pytest.mark.parametrize("spent", [0, 50, 53])
def test_a_free_model_gets_its_hold_whatever_is_left(alice: User, spent: int) -> None:  # M4 M5
    free = priced()
    use(alice, spent)
    given = hold(alice, model=free)
    assert (given.amount, state_of(given), held(alice)) == (0, "open", 0)
    assert hold(alice, model=free) == given
    assert recording.record([used(alice, 10, given.id, model=free)], now=NOW).accepted == 1
    assert (state_of(given), held(alice), debt(alice)) == ("settled", 0, max(spent - 50, 0))
    with pytest.raises(HoldConflict):
        hold(alice, model=free)
    other = hold(alice, "req_2", model=free)
    holds.release(other.id, now=NOW)
    third = hold(alice, "req_3", model=free)
    periods.open_due([alice.id], NOW + QUARTER)
    assert (state_of(other), state_of(third), held(alice)) == ("released", "lapsed", 0)


@pytest.mark.parametrize("kind", ["input", "output", "cache_read", "cache_write"])
def test_a_model_with_any_price_is_not_free_even_for_no_tokens(alice: User, kind: str) -> None:  # M5
    model = priced("gemma", **{kind: 1})
    use(alice, 50)
    with pytest.raises(InsufficientCredits):
        hold(alice, model=model, input_tokens=0, max_output_tokens=0)
    assert not Hold.objects.exists()


def test_all_that_is_there_being_promised_refuses_no_free_call(alice: User) -> None:  # M4
    hold(alice, credits=50)
    use(alice, 20)
    assert hold(alice, "req_2", model=priced()).amount == 0
    assert held(alice) == 50


def test_a_free_call_whose_price_rose_before_it_was_made_is_charged(alice: User) -> None:  # M1 M5
    free = priced()
    use(alice, 50)
    given = hold(alice, model=free)
    later = NOW + timedelta(minutes=5)
    dearer = dict.fromkeys(("input", "output", "cache_read", "cache_write"), 20)
    ModelPrice.objects.create(model=AIModel.objects.get(name=free), valid_from=later, **dearer)
    recording.record([used(alice, 3, given.id, model=free, occurred_at=later)], now=later)
    assert (state_of(given), debt(alice)) == ("settled", 3)
    with pytest.raises(InsufficientCredits):
        hold(alice, "req_2", model=free, now=later)


def test_a_free_model_is_no_way_past_a_closed_account(alice: User) -> None:
    free = priced()
    User.objects.update(is_active=False)
    with pytest.raises(UnknownAccount):
        hold(alice, model=free)


def test_usage_without_a_hold_may_take_what_was_promised(alice: User) -> None:  # M5
    given = hold(alice, credits=45)
    use(alice, 20)
    assert (held(alice), remaining(alice), debt(alice)) == (45, 30, 0)
    with pytest.raises(InsufficientCredits) as short:
        hold(alice, "req_2", credits=1)
    assert short.value.available == 0
    recording.record([used(alice, 45, given.id)], now=NOW)
    assert (held(alice), remaining(alice), debt(alice)) == (0, 0, 15)


def test_usage_settles_its_hold_and_frees_what_was_not_needed(alice: User) -> None:
    given = hold(alice)
    receipt = recording.record([used(alice, 4, given.id)], now=NOW)
    assert receipt.accepted == 1
    assert (state_of(given), held(alice), remaining(alice)) == ("settled", 0, 46)


def test_one_call_settles_the_holds_of_several_accounts(alice: User, charlie: User) -> None:
    first, second, third = hold(alice), hold(charlie), hold(alice, "req_2", credits=7)
    recording.record([used(alice, 1, first.id), used(charlie, 2, second.id)], now=NOW)
    assert (held(alice), held(charlie)) == (7, 0)
    assert (remaining(alice), remaining(charlie)) == (49, 48)
    assert state_of(third) == "open"


def test_usage_sent_again_settles_nothing_twice(alice: User) -> None:
    given, other = hold(alice), hold(alice, "req_2")
    for _ in range(3):
        recording.record([used(alice, 4, given.id)] * 2, now=NOW)
    assert (held(alice), remaining(alice), state_of(other)) == (10, 46, "open")


def test_usage_that_was_known_without_its_hold_settles_it_when_sent_again(alice: User) -> None:
    recording.record([used(alice, 4, None)], now=NOW)
    given = hold(alice)
    assert recording.record([used(alice, 4, given.id)], now=NOW).duplicates == 1
    assert (state_of(given), held(alice), remaining(alice)) == ("settled", 0, 46)


def test_a_conflicting_event_settles_nothing(alice: User) -> None:
    recording.record([used(alice, 4, None)], now=NOW)
    given = hold(alice)
    receipt = recording.record([used(alice, 5, given.id)], now=NOW)
    assert [rejected.code for rejected in receipt.rejected] == ["conflict"]
    assert (state_of(given), held(alice)) == ("open", 10)


def test_two_requests_may_share_a_hold_which_the_first_one_settles(alice: User) -> None:
    given = hold(alice)
    recording.record([used(alice, 1, given.id, "req_a")], now=NOW)
    recording.record([used(alice, 2, given.id, "req_b")], now=NOW)
    assert (held(alice), remaining(alice)) == (0, 47)


@pytest.mark.parametrize("name", ["nobody's", "charlie's", "no id"])
def test_an_event_that_names_no_hold_of_its_account_is_refused(alice: User, charlie: User, name: str) -> None:
    theirs = hold(charlie)
    named = {"nobody's": uuid.uuid4(), "charlie's": theirs.id, "no id": "hold_7"}[name]
    receipt = recording.record([used(alice, 4, named), used(alice, 1, None, "req_2")], now=NOW)
    assert receipt.accepted == 1
    assert [(r.index, r.code, r.detail) for r in receipt.rejected] == [
        (0, "invalid", "hold: This account has no such hold.")
    ]
    assert (held(charlie), state_of(theirs), remaining(alice)) == (10, "open", 49)


@pytest.mark.parametrize("spelling", ["{id}", "urn:uuid:{id}", "{{{id}}}", "{upper}", "{short}", "{late}"])
def test_an_id_settles_in_every_spelling_and_breaks_no_other_event(
    alice: User, charlie: User, spelling: str
) -> None:  # M4
    given = hold(alice)
    id_ = str(given.id)
    late = id_.replace("-", "")[:31] + "-" + id_[-1]
    named = spelling.format(id=id_, upper=id_.upper(), short=given.id.hex, late=late)
    receipt = recording.record([used(alice, 4, named), used(charlie, 1, None)], now=NOW)
    assert (receipt.accepted, receipt.rejected) == (2, [])
    assert (state_of(given), held(alice), remaining(alice)) == ("settled", 0, 46)


def test_an_empty_hold_is_refused_whatever_is_sent_beside_it(alice: User) -> None:
    receipt = recording.record([used(alice, 4, None) | {"hold": ""}], now=NOW)
    assert [rejected.code for rejected in receipt.rejected] == ["invalid"]


def test_a_cache_that_is_dearer_to_read_counts(alice: User) -> None:
    price = ModelPrice.objects.get(model__name=HAIKU)
    dearer = {"input": price.input, "output": price.output, "cache_write": price.cache_write, "cache_read": 500}
    ModelPrice.objects.create(model=price.model, valid_from=NOW, **dearer)
    assert hold(alice, input_tokens=10_000, max_output_tokens=0).amount == 5


def test_a_released_hold_is_free_again_and_stays_released(alice: User) -> None:
    given = hold(alice)
    for _ in range(2):
        holds.release(given.id, now=NOW)
    assert (state_of(given), held(alice)) == ("released", 0)
    with pytest.raises(HoldConflict):
        hold(alice)
    recording.record([used(alice, 4, given.id)], now=NOW)
    assert (state_of(given), held(alice), remaining(alice)) == ("released", 0, 46)


@pytest.mark.parametrize(("refused", "credits"), [(InsufficientCredits, 51), (HoldConflict, 7)])
def test_a_refusal_keeps_what_the_clock_owed(alice: User, refused: type[Exception], credits: int) -> None:  # M4 M7
    """Else every further call would open the month, or let the same holds lapse, over and over."""
    given = hold(alice)
    periods.open_due([alice.id], NOW)
    after = alice.credit_periods.get().ends_at
    with pytest.raises(refused):
        hold(alice, "req_1" if refused is HoldConflict else "req_2", credits=credits, now=after)
    assert (state_of(given), held(alice), alice.credit_periods.count()) == ("lapsed", 0, 2)


def test_a_settled_hold_can_not_be_released(alice: User) -> None:
    given = hold(alice)
    recording.record([used(alice, 4, given.id)], now=NOW)
    with pytest.raises(HoldConflict):
        holds.release(given.id)
    with pytest.raises(Hold.DoesNotExist):
        holds.release(uuid.uuid4())


def test_a_hold_that_is_not_heard_of_lapses(alice: User) -> None:
    given, later = hold(alice), hold(alice, "req_2", credits=5, now=NOW + timedelta(minutes=1))
    periods.open_due([alice.id], NOW + QUARTER - timedelta(seconds=1))
    assert held(alice) == 15
    periods.open_due([alice.id], NOW + QUARTER)
    assert (state_of(given), state_of(later), held(alice)) == ("lapsed", "open", 5)
    periods.open_due([alice.id], NOW + QUARTER + timedelta(minutes=1))
    assert held(alice) == 0


def test_what_lapsed_can_be_promised_again_at_that_moment(alice: User) -> None:
    hold(alice, credits=50)
    assert hold(alice, "req_2", credits=50, now=NOW + QUARTER).amount == 50


def test_the_hourly_job_frees_what_lapsed_and_the_clock_still_opens_the_month(alice: User) -> None:
    hold(alice)
    ends_at = alice.credit_periods.get().ends_at
    periods.open_all_due(NOW + QUARTER)
    assert held(alice) == 0
    assert Wallet.objects.get(account=alice).due_at == ends_at


def test_a_lapsed_hold_is_settled_by_usage_that_comes_late(alice: User) -> None:
    given = hold(alice)
    other = hold(alice, "req_2", credits=5, now=NOW + timedelta(minutes=10))
    later = NOW + QUARTER + timedelta(minutes=2)
    assert recording.record([used(alice, 4, given.id)], now=later).accepted == 1
    assert (state_of(given), state_of(other), held(alice), remaining(alice)) == ("settled", "open", 5, 46)


def test_a_hold_survives_the_end_of_its_period(alice: User) -> None:  # M7
    periods.open_due([alice.id], NOW)
    ends_at = alice.credit_periods.get().ends_at
    given = hold(alice, credits=40, now=ends_at - timedelta(minutes=1))
    after = ends_at + timedelta(minutes=1)
    recording.record([used(alice, 40, given.id, occurred_at=after)], now=after)
    assert (held(alice), remaining(alice)) == (0, 10)


def test_the_price_at_the_moment_of_the_hold_counts_and_the_hold_keeps_its_amount(alice: User) -> None:  # M1
    price = ModelPrice.objects.get(model__name=HAIKU)
    given = hold(alice)
    dearer = {name: getattr(price, name) * 2 for name in ("input", "output", "cache_read", "cache_write")}
    ModelPrice.objects.create(model=price.model, valid_from=NOW + timedelta(minutes=1), **dearer)
    assert hold(alice, now=NOW + timedelta(minutes=2)).amount == given.amount
    assert hold(alice, "req_2", now=NOW + timedelta(minutes=2)).amount == 20


def test_unknown_models_and_closed_accounts_get_no_hold(alice: User) -> None:
    with pytest.raises(UnknownModel):
        hold(alice, model="gpt-1")
    with pytest.raises(UnknownModel):
        hold(alice, now=NOW - timedelta(days=9000))
    with pytest.raises(UnknownAccount):
        holds.reserve(uuid.uuid4(), request_id="r", model=HAIKU, input_tokens=1, max_output_tokens=1, now=NOW)
    User.objects.update(is_active=False)
    with pytest.raises(UnknownAccount):
        hold(alice)
    assert not Hold.objects.exists()


def test_bought_credits_and_refunds_change_what_can_be_promised(alice: User) -> None:
    bought = grants.grant(alice.id, Decimal(30), kind=Grant.Kind.PURCHASED, source_key="p", now=NOW)
    given = hold(alice, credits=80)
    grants.void(bought, Decimal(30), source_key="v", reason="refund", now=NOW)
    assert (held(alice), remaining(alice)) == (80, 50)
    recording.record([used(alice, 60, given.id)], now=NOW)
    assert (held(alice), remaining(alice), debt(alice)) == (0, 0, 10)


@pytest.mark.django_db(transaction=True)
def test_two_hundred_holds_and_settlements_at_once_never_promise_or_spend_more_than_is_there() -> None:  # M4
    account = make_user("busy@example.com")
    dice = random.Random(4)
    grants.grant(account.id, Decimal(30), kind=Grant.Kind.PURCHASED, source_key="p", now=NOW)
    sizes = [dice.randrange(1, 6) for _ in range(200)]
    seen: list[Decimal] = []

    def call(number: int) -> Callable[[], int]:
        size, fate = sizes[number], number % 4

        def run() -> int:
            try:
                given = hold(account, f"req_{number}", credits=size)
            except InsufficientCredits:
                return 0
            with locked([account.id], NOW):
                seen.append(spending.available(account.id))
            if fate == 0:
                holds.release(given.id, now=NOW)
                return 0
            recording.record([used(account, size, given.id, f"req_{number}")] * (1 + fate % 2), now=NOW)
            return size

        return run

    spent = 0
    for start in range(0, 200, 25):
        spent += sum(at_once([call(number) for number in range(start, start + 25)]))
    assert min(seen) >= 0
    assert 60 <= spent <= 80
    assert (held(account), remaining(account), debt(account)) == (0, 80 - spent, 0)
    assert not Hold.objects.filter(state="open").exists()


@pytest.mark.django_db(transaction=True)
def test_free_and_paid_calls_at_once_promise_what_is_there_and_no_more() -> None:  # M4
    account, free = make_user("busy@example.com"), priced()

    def call(number: int) -> Callable[[], int]:
        def run() -> int:
            try:
                hold(account, f"req_{number // 2}", **({"model": free} if number % 4 < 2 else {}))
            except InsufficientCredits:
                return 0
            return 1

        return run

    granted = at_once([call(number) for number in range(32)])
    assert [granted[number] for number in range(32) if number % 4 < 2] == [1] * 16
    assert (held(account), Hold.objects.filter(amount=0).count(), Hold.objects.filter(amount=10).count()) == (50, 8, 5)


@pytest.mark.django_db(transaction=True)
def test_sixteen_calls_of_the_same_request_get_one_hold() -> None:
    account = make_user("busy@example.com")
    assert len({given.id for given in at_once([lambda: hold(account)] * 16)}) == 1
    assert held(account) == 10


@pytest.mark.django_db(transaction=True)
def test_release_settlement_and_lapse_at_once_free_a_hold_once() -> None:
    account = make_user("busy@example.com")
    later = NOW + QUARTER
    for number in range(10):
        given = hold(account, f"req_{number}", credits=2)
        keeps = hold(account, f"keep_{number}", credits=1, now=NOW + timedelta(hours=1))

        def release(given: Hold = given) -> None:
            with suppress(HoldConflict):
                holds.release(given.id, now=later)

        def settle(given: Hold = given, number: int = number) -> None:
            recording.record([used(account, 1, given.id, f"req_{number}")], now=later)

        at_once([release, settle, lambda: periods.open_due([account.id], later), release, settle])
        assert held(account) == 1
        holds.release(keeps.id, now=later)
    assert (held(account), remaining(account)) == (0, 40)


@pytest.mark.django_db(transaction=True)
def test_a_release_waits_for_the_settlement_that_came_first() -> None:
    account = make_user("busy@example.com")
    given, _ = hold(account, credits=4), hold(account, "req_2", credits=6)

    def release() -> None:
        try:
            holds.release(given.id, now=NOW)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            recording.record([used(account, 3, given.id)], now=NOW)
            waiting = threads.submit(release)
            wait_until_someone_waits()
        with pytest.raises(HoldConflict):
            waiting.result(timeout=10)
    assert (held(account), remaining(account)) == (6, 47)


# The API --------------------------------------------------------------------------------------------------------


@pytest.fixture
def backend() -> Client:
    return client_with("holds:write", "usage:write", "credits:read")


def client_with(*scopes: str) -> Client:
    _, secret = ServiceKey.objects.issue(f"backend {uuid.uuid4()}", scopes=scopes)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def ask(client: Client, whose: User | str, **changes: Any) -> Any:
    wish = {"account": str(getattr(whose, "id", whose)), "request_id": "req_1", "model": HAIKU}
    wish |= {"input_tokens": 0, "max_output_tokens": 100_000} | changes
    return client.post(URL, json.dumps(wish), content_type="application/json")


def test_a_backend_reserves_calls_and_settles(backend: Client, alice: User) -> None:  # M4
    with time_machine.travel(NOW, tick=False):
        first, again = ask(backend, alice), ask(backend, alice)
        assert (first.status_code, first.json()) == (again.status_code, again.json())
        made = first.json()
        assert first.status_code == 201
        assert (made["amount"], made["expires_at"]) == ("10.000000", "2026-05-10T12:22:30Z")
        balance = backend.get("/api/v1/credits", {"account": str(alice.id)}).json()
        assert (balance["held"], balance["available"]) == ("10.000000", "40.000000")
        report = used(alice, 4, made["id"]) | {"occurred_at": NOW.isoformat()}
        sent = backend.post("/api/v1/usage", json.dumps({"events": [report]}), content_type="application/json")
        assert sent.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
        balance = backend.get("/api/v1/credits", {"account": str(alice.id)}).json()
        assert (balance["held"], balance["available"]) == ("0.000000", "46.000000")


def test_what_is_not_there_is_402_with_both_figures(backend: Client, alice: User) -> None:
    answer = ask(backend, alice, max_output_tokens=600_000)
    body = answer.json()
    assert (answer.status_code, answer.headers["Content-Type"]) == (402, "application/problem+json")
    assert (body["code"], body["available"], body["required"]) == ("insufficient_credits", "50.000000", "60.000000")


def test_a_free_model_is_held_for_an_account_in_debt(backend: Client, alice: User) -> None:  # M5
    with time_machine.travel(NOW, tick=False):
        use(alice, 53)
        assert ask(backend, alice).status_code == 402
        made = ask(backend, alice, model=priced())
        assert (made.status_code, made.json()["amount"]) == (201, "0.000000")


def test_a_hold_is_released_by_delete(backend: Client, alice: User) -> None:
    made = ask(backend, alice).json()
    for _ in range(2):
        assert backend.delete(f"{URL}/{made['id']}").status_code == 204
    assert held(alice) == 0
    assert backend.delete(f"{URL}/{uuid.uuid4()}").status_code == 404
    assert ask(backend, alice).json()["code"] == "conflict"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account": "alice"}, "account"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a\0b"}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"model": None}, "model"),
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": "7"}, "input_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": 2**31}, "max_output_tokens"),
    ],
)
def test_what_asks_for_no_hold_is_refused_by_field(
    backend: Client, alice: User, changes: dict[str, Any], field: str
) -> None:
    answer = ask(backend, alice, **changes)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["errors"]) == [field]
    assert not Hold.objects.exists()


def test_unknown_account_and_model_are_404(backend: Client, alice: User) -> None:
    assert ask(backend, str(uuid.uuid4())).json()["code"] == "unknown_account"
    assert (ask(backend, alice, model="gpt-1").status_code, ask(backend, alice, model="gpt-1").json()["code"]) == (
        404,
        "unknown_model",
    )


def test_only_a_key_with_the_scope_may_hold(alice: User) -> None:
    assert ask(client_with("usage:write", "credits:read"), alice).json()["code"] == "missing_scope"
    assert ask(Client(), alice).status_code == 401
    given = hold(alice)
    assert client_with("usage:write").delete(f"{URL}/{given.id}").status_code == 403
    assert Client().delete(f"{URL}/{given.id}").status_code == 401
    assert held(alice) == 10
