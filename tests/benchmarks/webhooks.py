"""Webhooks under load: 200 events a second, each measured from the moment it should have been sent (P1)."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection

from billing.models import Customer, PaddleEvent, PlanPrice
from credits.ledger import periods
from credits.models import Grant
from sidekick.accounts.models import User
from tests.billing.bodies import CREDIT, Body, event, sign, transaction

A_SECOND = 200
WARM = 2 * A_SECOND
SENDERS = 8
CUSTOMERS = 150
PURCHASES = 2000
STEPS = (
    ("transaction.created", "draft"),
    ("transaction.ready", "ready"),
    ("transaction.paid", "paid"),
    ("payment_method.saved", ""),
    ("transaction.updated", "paid"),
    ("transaction.completed", "completed"),
)
NOW = datetime.now(UTC)


def prepare() -> list[tuple[bytes, str]]:
    """Signed events of 2,000 purchases by 150 customers, in the order of a checkout: a minute of them."""
    price = PlanPrice.objects.get(interval="credit")
    price.paddle_price_id = CREDIT
    price.save()
    users = User.objects.bulk_create(User(email=f"payer{number}@example.com") for number in range(CUSTOMERS))
    # Customers have seen their credits before they pay.
    periods.open_due([user.id for user in users], NOW)
    stub = {"email": "", "status": "active", "snapshot_at": NOW, "data": {}}
    Customer.objects.bulk_create(
        Customer(id=_id("ctm", place), account=user, **stub) for place, user in enumerate(users)
    )
    bodies = list(_told(users, price))
    secret = settings.PADDLE_WEBHOOK_SECRETS[0]
    raw = [json.dumps(body).encode() for body in bodies]
    return [(body, sign(body, secret=secret, at=datetime.now(UTC))) for body in raw]


def _told(users: list[User], price: PlanPrice) -> Iterator[Body]:
    """Yield the events that Paddle sends of one checkout, as observed, and every tenth event once more."""
    number = 0
    for place in range(PURCHASES):
        user, customer_id, transaction_id = users[place % CUSTOMERS], _id("ctm", place % CUSTOMERS), _id("txn", place)
        custom = {"account_id": str(user.id), "kind": "credits"}
        for kind, status in STEPS:
            data: Body = {"id": _id("paymtd", place), "customer_id": customer_id}
            if status:
                data = transaction(7, id=transaction_id, customer_id=customer_id, status=status, custom_data=custom)
                data["details"]["line_items"][0]["id"] = _id("txnitm", place)
            body = event(number, kind, data, (NOW + timedelta(milliseconds=number)).isoformat())
            yield body
            if number % 10 == 0:
                yield body
            number += 1


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_01k{number:023}"


def send(port: int, deliveries: list[tuple[bytes, str]]) -> list[float]:
    """Send them evenly. Returns for each the seconds from when it was due until its response was there."""
    took: list[float] = []
    start = time.perf_counter() + 0.5
    places = iter(range(len(deliveries)))
    lock = threading.Lock()

    def work() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                place = next(places, None)
            if place is None:
                return
            due = start + place / A_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            body, signature = deliveries[place]
            headers = {"Paddle-Signature": signature, "Content-Type": "application/json"}
            client.request("POST", "/webhooks/paddle", body, headers)
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append(time.perf_counter() - due)

    threads = [threading.Thread(target=work) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def measure(port: int) -> tuple[float, float]:
    """The median and the 99th percentile, in seconds; checks that every purchase was granted once."""
    deliveries = prepare()
    send(port, deliveries[:WARM])
    # As autovacuum does within a minute: statistics of empty tables would have every look-up read the whole table.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    took = send(port, deliveries[WARM:])[A_SECOND:]
    assert Grant.objects.filter(kind=Grant.Kind.PURCHASED, source_key__startswith="paddle:").count() == PURCHASES
    assert not PaddleEvent.objects.exclude(state__in=["applied", "stale", "ignored"]).exists()
    return statistics.median(took), statistics.quantiles(took, n=100)[98]
