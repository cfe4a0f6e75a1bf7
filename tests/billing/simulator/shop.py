"""A simulated Paddle with Sidekick's products in it, and how a test talks to it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.simulator.api import router
from billing.simulator.http import Request
from billing.simulator.schemas.notifications import Event
from billing.simulator.world import World

Json = dict[str, Any]
KEY, SECRET = "pdl_key_of_these_tests", "pdl_ntfset_of_these_tests"
LINK = "http://localhost:8000/dashboard/billing/pay"
MONTH, YEAR = {"interval": "month", "frequency": 1}, {"interval": "year", "frequency": 1}
ONE = {"minimum": 1, "maximum": 1}
DAY = timedelta(days=1)
# The last of a month, which many months do not have.
STARTED = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@dataclass
class ApiError(Exception):
    """The error with which the API refused a call."""

    status: int
    code: str
    errors: list[Json] = field(default_factory=list)
    detail: str = ""


class Shop:
    """A world with Starter ($15), Pro ($39), Pro by the year ($390), a trial ($15) and credits ($0.10), 20 % tax."""

    def __init__(self, **options: Any) -> None:
        self.world = World(api_key=KEY, secret=SECRET, payment_link=LINK, **options)
        self.product: dict[str, str] = {}
        self.price: dict[str, str] = {}
        for name, amount, cycle in (("starter", 1500, MONTH), ("pro", 3900, MONTH), ("yearly", 39000, YEAR)):
            self.sell(name, amount, billing_cycle=cycle, quantity=ONE)
        trial = {"interval": "day", "frequency": 14}
        self.sell("trial", 1500, billing_cycle=MONTH, trial_period=trial, quantity=ONE)
        self.sell("credit", 10, quantity={"minimum": 1, "maximum": 300})

    def sell(self, name: str, amount: int, **more: Any) -> None:
        product = self.post("/products", name=f"Sidekick {name}", tax_category="saas")
        self.product[name] = product["id"]
        money = {"amount": str(amount), "currency_code": "USD"}
        price = self.post("/prices", product_id=product["id"], description=name, name=name, unit_price=money, **more)
        self.price[name] = price["id"]

    def call(self, method: str, path: str, body: Json | None = None, *, key: str = KEY) -> Any:
        """Returns the whole JSON response of the API, without HTTP between. Raises `ApiError`."""
        path, _, query = path.partition("?")
        raw = b"" if body is None else json.dumps(body).encode()
        asked = Request(
            method=method,
            path=path,
            base="http://localhost:8010",
            query=dict(pair.split("=", 1) for pair in query.split("&") if pair),
            headers={"authorization": f"Bearer {key}"},
            body=raw,
        )
        status, answer = router.respond(self.world, asked)
        if status >= 300:
            assert answer
            error = answer["error"]
            raise ApiError(status, error["code"], error.get("errors", []), error["detail"])
        return answer

    def get(self, path: str) -> Any:
        return self.call("GET", path)["data"]

    def post(self, path: str, **body: Any) -> Any:
        return self.call("POST", path, body)["data"]

    def patch(self, path: str, **body: Any) -> Any:
        return self.call("PATCH", path, body)["data"]

    def customer(self, email: str = "alice@example.com", **more: Any) -> str:
        return str(self.post("/customers", email=email, **more)["id"])

    def order(self, name: str, quantity: int = 1, **more: Any) -> Json:
        """A transaction that waits for its checkout."""
        items = [{"price_id": self.price[name], "quantity": quantity}]
        made: Json = self.post("/transactions", items=items, **more)
        return made

    def buy(self, name: str, quantity: int = 1, *, card: str = "good", **more: Any) -> Json:
        """The transaction after its checkout."""
        made = self.order(name, quantity, **more)
        self.world.pay(made["id"], card)
        paid: Json = self.get(f"/transactions/{made['id']}")
        return paid

    def subscribe(self, name: str = "starter", *, card: str = "good", **more: Any) -> str:
        """The id of a new subscription."""
        more.setdefault("customer_id", None)
        if more["customer_id"] is None:
            more["customer_id"] = self.customer()
        return str(self.buy(name, card=card, **more)["subscription_id"])

    def events(self, entity: str = "") -> list[str]:
        """The types of what happened (to one entity), in order."""
        rows = self.world.state.events()
        return [row["event_type"] for row in rows if not entity or row["data"]["id"] == entity]

    def last(self, event_type: str) -> Event:
        """The body of the newest event of a type."""
        rows = [row for row in self.world.state.events() if row["event_type"] == event_type]
        return rows[-1]

    def since(self, mark: int) -> list[str]:
        return self.events()[mark:]

    def mark(self) -> int:
        return len(self.events())


def state_of(shop: Shop, subscription: str) -> Json:
    found: Json = shop.get(f"/subscriptions/{subscription}")
    return found


def day(moment: str | None) -> str:
    """Returns the date of a moment as Paddle writes it."""
    return (moment or "never")[:10]


def fetch(
    url: str, *, data: bytes | None = None, method: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """Send a request as a browser without script does. Redirects are not followed."""
    request = urllib.request.Request(  # noqa: S310 - the address is a test server's
        url, data=data, method=method, headers=dict(headers or {})
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None
