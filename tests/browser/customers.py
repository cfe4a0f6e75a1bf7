"""Customers whose pages are worth looking at: an ordinary one, a new one, one of huge numbers, one in debt; and who
bought something, in every state that a plan or a purchase can be in.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import quote
from uuid import uuid4

from billing import checkout, schedule, subscriptions
from billing.models import Purchase
from billing.paddle import api
from credits.ledger import grants, periods
from credits.models import AIModel, Grant, ModelPrice, Plan
from credits.usage import recording
from credits.usage.schemas import Event
from sidekick.accounts.models import User
from tests.billing.store import Store, price
from tests.conftest import make_user

LONG_MODEL = "an-experimental-model-with-a-name-as-long-as-the-price-book-takes-" + "0123456789" * 3
DAY = timedelta(days=1)
BILLING = "/dashboard/billing"
Pages = dict[str, str]
MODELS = {"claude-sonnet-4-5": 5, "claude-haiku-4-5": 4, "gpt-5": 2, "gpt-5-mini": 3, "gemini-2.5-pro": 1}


def requests(user: User, count: int, *, start: datetime, end: datetime, seed: int = 7) -> Iterator[Event]:
    """Ordinary requests, spread evenly over [start, end), oldest first."""
    dice = random.Random(seed)
    for number in range(count):
        moment = start + (end - start) * number / count
        yield {
            "request_id": f"req_{int(moment.timestamp() * 1000):012x}{number:06d}",
            "account": str(user.id),
            "model": dice.choices(list(MODELS), list(MODELS.values()))[0],
            "occurred_at": moment,
            "input_tokens": int(dice.lognormvariate(7.3, 1)),
            "output_tokens": int(dice.lognormvariate(5.7, 0.8)),
            "cache_read_tokens": dice.choice([0, 0, 12_000]),
            "cache_write_tokens": dice.choice([0, 0, 0, 3_000]),
        }


def record(events: list[Event]) -> None:
    receipt = recording.record(events, max_age=timedelta.max)
    assert receipt.accepted == len(events), receipt


def ordinary(now: datetime) -> User:
    """Pro in its second month: something rolled over, something bought, a dozen pages of requests."""
    user = make_user("petra@example.com", name="Petra", time_zone="Europe/Berlin", date_joined=now - 50 * DAY)
    pro = Plan.objects.get(slug="pro")
    for number, start in enumerate((now - 45 * DAY, now - 14 * DAY)):
        periods.open_paid(user.id, plan=pro, starts_at=start, ends_at=start + 31 * DAY, source_key=f"pay:{number}")
        record(list(requests(user, 240, start=start, end=min(start + 30 * DAY, now), seed=number)))
    grants.grant(user.id, Decimal(150), kind=Grant.Kind.PURCHASED, source_key="buy")
    return user


def newcomer(now: datetime) -> User:
    return make_user("nora@example.com", date_joined=now)


def wealthy(now: datetime) -> User:
    """Numbers as large as they can get, on a model with a name as long as it can get."""
    email = "a.very.long.address.of.somebody.with.patience@subdomain.of.a.long.example.com"
    user = make_user(email, name="W", date_joined=now - 40 * DAY)
    pro = Plan.objects.get(slug="pro")
    periods.open_paid(user.id, plan=pro, starts_at=now - 9 * DAY, ends_at=now + 20 * DAY, source_key="pay")
    grants.grant(user.id, Decimal("987654321.123456"), kind=Grant.Kind.PURCHASED, source_key="buy")
    price = ModelPrice(model=AIModel.objects.create(name=LONG_MODEL), valid_from=datetime(2020, 1, 1, tzinfo=UTC))
    price.input, price.output, price.cache_read, price.cache_write = map(Decimal, (300, 1500, 30, 375))
    price.save()
    record(enormous(user, now, [LONG_MODEL, "claude-opus-4-1"], 14))
    return user


def debtor(now: datetime) -> User:
    """Free, and one enormous request came in after the credits were gone."""
    user = make_user("david@example.com", date_joined=now - 3 * DAY)
    record(enormous(user, now, ["claude-opus-4-1"], 1))
    return user


def enormous(user: User, now: datetime, models: list[str], count: int) -> list[Event]:
    return [
        {
            "request_id": f"{'x' * 120}{number:08d}",
            "account": str(user.id),
            "model": models[number % len(models)],
            "occurred_at": now - timedelta(hours=number + 1),
            "input_tokens": 2_000_000_000,
            "output_tokens": 2_000_000_000,
            "cache_read_tokens": 2_000_000_000,
            "cache_write_tokens": 2_000_000_000,
        }
        for number in range(count)
    ]


def buyer(plan: str, store: Store, **how: str) -> tuple[User, str]:
    """Somebody with a plan, and Paddle's id of the subscription."""
    joined = store.world.now() - 3 * DAY
    user = make_user("bianca@example.com", name="Bianca", time_zone="Europe/Berlin", date_joined=joined)
    return user, store.subscribe(user, plan, **how)


def on_starter(store: Store) -> tuple[User, Pages]:
    user, _ = buyer("starter", store)
    upgrade = f"{BILLING}/plan/{price('pro').pk}"
    return user, {"billing": BILLING, "plans": f"{BILLING}/plan", "upgrade": upgrade, "pricing": "/pricing"}


def with_a_history(store: Store) -> tuple[User, Pages]:
    """Two pages of payments, money back in every way."""
    user, subscription = buyer("pro", store)
    for _ in range(18):
        store.world.renew(subscription)
    bought = [store.buy(user, "credits", 137).transaction_id for _ in range(4)]
    line = store.world.state.transactions.get(bought[0])["details"]["line_items"][0]["id"]
    store.world.refund(bought[0], {line: 480})
    store.world.refund(bought[1], approve=False)
    store.world.refund(bought[2])
    store.world.reverse(store.world.charge_back(bought[3])["id"])
    store.deliver()
    pages = {"history": BILLING, "history's end": f"{BILLING}?page=2", "history refused": f"{BILLING}?page=99"}
    return user, {**pages, "cancellation": f"{BILLING}/cancel", "too few": BILLING, "busy Paddle": BILLING}


def disputing(store: Store) -> tuple[User, Pages]:
    user, _ = buyer("pro", store)
    store.world.charge_back(store.buy(user, "credits", 137).transaction_id)
    store.deliver()
    return user, {"billing": BILLING}


def overdue(store: Store) -> tuple[User, Pages]:
    user, subscription = buyer("pro", store)
    store.fail_renewal(subscription)
    late = next(row["id"] for row in store.world.state.transactions.rows() if row["status"] == "past_due")
    return user, {"billing": BILLING, "bill": f"{BILLING}/pay?_ptxn={late}", "checkout": _checkout(store, late)}


def leaving(store: Store) -> tuple[User, Pages]:
    user, _ = buyer("pro", store)
    subscriptions.cancel(user)
    store.deliver()
    return user, {"billing": BILLING, "pricing": "/pricing"}


def pausing(store: Store) -> tuple[User, Pages]:
    user, subscription = buyer("pro", store)
    store.pause(subscription, days=90, now=False)
    return user, {"billing": BILLING}


def paused(store: Store) -> tuple[User, Pages]:
    user, subscription = buyer("pro", store)
    store.pause(subscription)
    schedule.end_plans(store.world.now())
    return user, {"billing": BILLING, "way back": f"{BILLING}/resume"}


def going_down(store: Store) -> tuple[User, Pages]:
    user, _ = buyer("pro", store)
    subscriptions.change(user, price("starter"))
    store.deliver()
    return user, {"billing": BILLING, "plans": f"{BILLING}/plan"}


def on_trial(store: Store) -> tuple[User, Pages]:
    trial = {"interval": "day", "frequency": 14, "requires_payment_method": True}
    api.change("price", price("pro").paddle_price_id, {"trial_period": trial})
    user, _ = buyer("pro", store)
    return user, {"billing": BILLING}


def who_paid(store: Store) -> tuple[User, Pages]:
    """Purchases that are done, canceled, ready, and a portal."""
    user, subscription = buyer("pro", store)
    done, opened, given_up = (store.buy(user, "credits", n, pay=pay) for n, pay in ((20, "good"), (30, ""), (40, "")))
    api.cancel_transaction(given_up.transaction_id)
    refused = store.buy(user, "credits", 50, pay="declined")
    store.deliver()
    customer = store.world.state.subscriptions.get(subscription)["customer_id"]
    return user, {
        "done purchase": _page_of(done),
        "ready purchase": _page_of(opened),
        "canceled purchase": _page_of(given_up),
        "checkout": _checkout(store, opened.transaction_id),
        "declined card": _checkout(store, refused.transaction_id),
        "paid checkout": _checkout(store, done.transaction_id),
        "new card": _checkout(store, str(api.card_update(subscription)["id"])),
        "portal": api.portal_url(customer, [subscription]),
    }


def who_waits(store: Store) -> tuple[User, Pages]:
    """Paddle was paid and says nothing, or was asked for a checkout and didn't answer."""
    user, _ = buyer("pro", store)
    store.world.switch("hold", True)
    store.world.faults.add("error", method="GET", path="/transactions", times=10_000)
    bought = checkout.begin(user, price("pro", "credit"), 20, token=uuid4())
    store.world.pay(bought.transaction_id, email=user.email)
    store.world.faults.add("unanswered", method="POST", path="/transactions")
    try:
        checkout.begin(user, price("pro", "credit"), 30, token=uuid4())
    except api.PaddleFault:
        unheard = Purchase.objects.get(transaction_id="")
    completed = f"{_page_of(bought)}?checkout=completed"
    pages = {"waiting": completed, "waiting for long": f"{completed}&since=0"}
    return user, {**pages, "opening": _page_of(unheard), "opening for long": f"{_page_of(unheard)}?since=0"}


def _page_of(purchase: Purchase) -> str:
    return f"{BILLING}/purchases/{purchase.id}"


def _checkout(store: Store, transaction_id: str) -> str:
    return f"{store.url}/checkout/{transaction_id}?return_to={quote('http://localhost/dashboard/billing', safe='')}"
