"""Webhooks: their signature and body, their order, and how often they are sent."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from billing.simulator.server import Server
from tests.billing.simulator.shop import SECRET, ApiError, Shop


class Inbox:
    """A receiver that keeps all requests. `answers` returns the status for the number of a request."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes, float]] = []
        self.answers: Callable[[int], int] = lambda number: 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.got.append((dict(self.headers), body, time.time()))
                status = inbox.answers(len(inbox.got))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{inbox.url}/elsewhere")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body, _ in self.got]

    @property
    def types(self) -> list[str]:
        return [body["event_type"] for body in self.bodies]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    threading.Thread(target=made.http.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_a_webhook_is_signed_over_its_bytes_with_the_time_of_sending(shop: Shop, inbox: Inbox) -> None:  # P7
    shop.world.subscribe(f"{inbox.url}/webhooks/paddle")
    shop.customer("alice@example.com")
    assert shop.world.deliver_all() == 0
    [(headers, body, at)] = inbox.got
    stamp, _, signature = headers["Paddle-Signature"].removeprefix("ts=").partition(";h1=")
    assert abs(int(stamp) - at) < 2
    assert signature == hmac.digest(SECRET.encode(), f"{stamp}:".encode() + body, "sha256").hex()
    told = json.loads(body)
    assert list(told) == ["event_id", "event_type", "occurred_at", "notification_id", "data"]
    assert told["data"]["email"] == "alice@example.com"
    assert headers["Content-Type"] == "application/json"


def test_a_setting_gets_the_types_it_asked_for_while_it_is_active(shop: Shop, inbox: Inbox) -> None:
    setting = shop.world.subscribe(inbox.url, ["transaction.completed"])
    shop.subscribe()
    shop.world.deliver_all()
    assert inbox.types == ["transaction.completed"]
    shop.patch(f"/notification-settings/{setting['id']}", active=False)
    shop.buy("credit", 10)
    shop.world.deliver_all()
    assert len(inbox.got) == 1


def test_two_settings_get_the_same_event_under_two_notification_ids(shop: Shop, inbox: Inbox) -> None:
    shop.world.subscribe(f"{inbox.url}/one")
    shop.world.subscribe(f"{inbox.url}/two")
    shop.customer()
    shop.world.deliver_all()
    one, two = inbox.bodies
    assert one["event_id"] == two["event_id"]
    assert one["notification_id"] != two["notification_id"]


def test_events_of_a_customer_arrive_in_their_order(shop: Shop, served: Server, inbox: Inbox) -> None:
    shop.world.subscribe(inbox.url)
    mark = shop.mark()
    shop.subscribe()
    wait_for(lambda: len(inbox.got) == len(shop.since(mark)))
    assert inbox.types == shop.since(mark)


def test_what_fails_is_tried_again_under_the_same_id_and_keeps_the_order(
    shop: Shop, served: Server, inbox: Inbox
) -> None:
    inbox.answers = lambda number: 500 if number <= 2 else 200
    shop.world.subscribe(inbox.url, ["customer.created", "transaction.created", "transaction.completed"])
    shop.buy("credit", 10, customer_id=shop.customer())
    wait_for(lambda: len(inbox.got) == 5)
    assert inbox.types == ["customer.created"] * 3 + ["transaction.created", "transaction.completed"]
    assert len({body["notification_id"] for body in inbox.bodies[:3]}) == 1
    assert len({headers["Paddle-Signature"] for headers, _, _ in inbox.got}) >= 1
    pauses = [later - sooner for (_, _, sooner), (_, _, later) in zip(inbox.got, inbox.got[1:3], strict=False)]
    assert pauses[0] >= 0.05
    assert pauses[1] >= 0.1
    wait_for(lambda: all(row["status"] == "delivered" for row in shop.get("/notifications")))
    [first] = [row for row in shop.get("/notifications") if row["type"] == "customer.created"]
    assert (first["times_attempted"], first["retry_at"]) == (3, None)


def test_another_customers_events_do_not_wait_for_a_failing_one(shop: Shop, inbox: Inbox) -> None:
    shop.world.subscribe(inbox.url)
    shop.customer("alice@example.com")
    shop.buy("credit", 10, customer_id=shop.world.state.customers.rows()[0]["id"])
    inbox.answers = lambda number: 503 if "alice@example.com" in str(inbox.bodies[-1]) else 200
    shop.customer("charlie@example.com")
    waiting = shop.world.deliver_all()
    assert inbox.types == ["customer.created", "customer.created"]
    assert waiting == len(shop.get("/notifications?status=not_attempted,needs_retry"))


@pytest.mark.parametrize("status", [302, 400, 410, 500])
def test_only_success_is_delivered_and_redirects_are_not_followed(shop: Shop, inbox: Inbox, status: int) -> None:
    inbox.answers = lambda number: status
    shop.world.subscribe(inbox.url)
    shop.customer()
    assert shop.world.deliver_all() == 1
    assert len(inbox.got) == 1
    [row] = shop.get("/notifications")
    assert (row["status"], row["times_attempted"], row["delivered_at"]) == ("needs_retry", 1, None)


def test_who_takes_longer_than_five_seconds_has_not_taken_it(
    shop: Shop, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.simulator.webhooks.courier.ANSWER_WITHIN", 0.2)

    def slowly(number: int) -> int:
        time.sleep(0.5)
        return 200

    inbox.answers = slowly
    shop.world.subscribe(inbox.url)
    shop.customer()
    assert shop.world.deliver_all() == 1


def test_nobody_listening_is_a_failure_like_another(shop: Shop) -> None:
    shop.world.subscribe("http://127.0.0.1:9/webhooks")
    shop.customer()
    assert shop.world.deliver_all() == 1
    assert shop.world.state.deliveries.rows()[0]["answer"] == "ConnectionRefusedError"


def test_duplicates_send_each_webhook_twice(shop: Shop, inbox: Inbox) -> None:
    shop.world.subscribe(inbox.url, ["customer.created"])
    shop.world.switch("duplicate", True)
    shop.customer("alice@example.com")
    shop.customer("charlie@example.com")
    assert shop.world.deliver_all() == 0
    assert (
        sorted(body["data"]["email"] for body in inbox.bodies)
        == ["alice@example.com"] * 2 + ["charlie@example.com"] * 2
    )
    assert len({body["notification_id"] for body in inbox.bodies}) == 2


def test_held_webhooks_wait_until_they_are_released(shop: Shop, served: Server, inbox: Inbox) -> None:
    shop.world.subscribe(inbox.url)
    shop.world.switch("hold", True)
    shop.customer()
    assert shop.world.deliver_all(0.3) == 1
    assert inbox.got == []
    shop.world.switch("hold", False)
    wait_for(lambda: len(inbox.got) == 1)


def shuffled(inbox: Inbox, seed: int) -> list[str]:
    shop = Shop(seed=seed)
    shop.world.subscribe(inbox.url)
    shop.world.switch("shuffle", True)
    before = len(inbox.got)
    shop.subscribe()
    shop.world.deliver_all()
    assert sorted(inbox.types[before:]) == sorted(shop.events()[-len(inbox.types[before:]) :])
    return inbox.types[before:]


def test_shuffled_webhooks_come_in_an_order_that_the_seed_decides(inbox: Inbox) -> None:
    first, second, other = shuffled(inbox, 1), shuffled(inbox, 1), shuffled(inbox, 2)
    assert first == second
    assert first != other
    assert first != sorted(first)


def test_a_replay_has_a_new_notification_id_and_is_not_replayed(shop: Shop, inbox: Inbox) -> None:
    shop.world.subscribe(inbox.url)
    shop.customer()
    shop.world.deliver_all()
    [sent] = shop.get("/notifications")
    again = shop.post(f"/notifications/{sent['id']}/replay")["notification_id"]
    shop.world.deliver_all()
    one, two = inbox.bodies
    assert (one["event_id"], two["notification_id"]) == (two["event_id"], again)
    assert one["notification_id"] != again
    assert shop.get(f"/notifications/{sent['id']}")["replayed_at"]
    with pytest.raises(ApiError) as refused:
        shop.post(f"/notifications/{again}/replay")
    assert refused.value.code == "notification_replay_invalid_origin_type"


def test_what_waits_for_a_deleted_setting_is_dropped(shop: Shop, inbox: Inbox) -> None:
    setting = shop.world.subscribe(inbox.url)
    shop.customer()
    shop.call("DELETE", f"/notification-settings/{setting['id']}")
    assert shop.world.deliver_all() == 0
    assert inbox.got == []


def test_the_world_is_not_locked_while_a_webhook_is_sent(shop: Shop, inbox: Inbox) -> None:
    """The receiver may call the API before it responds."""
    seen = []

    def asking(number: int) -> int:
        seen.append(shop.get("/customers"))
        return 200

    inbox.answers = asking
    shop.world.subscribe(inbox.url)
    shop.customer()
    assert shop.world.deliver_all(3) == 0
    assert len(seen[0]) == 1


def test_a_refused_call_meanwhile_does_not_send_a_webhook_again(shop: Shop, inbox: Inbox) -> None:
    def refused(number: int) -> int:
        with pytest.raises(ApiError):
            shop.order("credit", 1000)
        return 200

    inbox.answers = refused
    shop.world.subscribe(inbox.url)
    shop.customer()
    assert shop.world.deliver_all(3) == 0
    assert len(inbox.got) == 1
    assert shop.get("/notifications")[0]["status"] == "delivered"


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, "It did not happen within five seconds."
        time.sleep(0.01)
