"""The dashboard beside a simulated Paddle: prices are set up at it, and its events are taken in when a test says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from billing import checkout
from billing.models import PlanPrice, Purchase
from billing.paddle import api, inbox, setup
from billing.simulator.server import Server
from billing.simulator.world import World
from sidekick.accounts.models import User

KEY, SECRET = "pdl_sdbx_apikey_of_these_tests", "pdl_ntfset_of_the_simulator"


class Store:
    """A world of Paddle's, and what its webhooks would have brought."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url
        self.cursor = ""

    def deliver(self) -> None:
        """Take in what Paddle has to tell since the last time, oldest first."""
        for body in list(api.events_after(self.cursor)):
            inbox.receive(json.dumps(body).encode())
            self.cursor = body["event_id"]

    def buy(self, account: User, slug: str, quantity: int = 1, *, pay: str = "good", interval: str = "") -> Purchase:
        """A purchase of this account, paid for and delivered; only opened where `pay` is empty."""
        wanted = interval or ("credit" if slug == "credits" else "month")
        plan = "pro" if slug == "credits" else slug
        bought = checkout.begin(account, price(plan, wanted), quantity, token=uuid4())
        if pay:
            self.world.pay(bought.transaction_id, pay, email=account.email)
        self.deliver()
        return bought

    def subscribe(self, account: User, slug: str = "pro", **how: Any) -> str:
        """Paddle's id of the new subscription."""
        self.buy(account, slug, **how)
        return str(account.subscriptions.latest("started_at").id)

    def fail_renewal(self, subscription_id: str) -> None:
        self.world.fail_next_payment(subscription_id)
        self.world.renew(subscription_id)
        self.deliver()

    def pause(self, subscription_id: str, *, days: int = 0, now: bool = True) -> None:
        self.world.pause(subscription_id, self.world.now() + timedelta(days=days) if days else None, now=now)
        self.deliver()


def price(plan: str, interval: str = "month") -> PlanPrice:
    return PlanPrice.objects.get(plan=plan, interval=interval, currency="USD")


@contextmanager
def opened(settings: Any) -> Iterator[Store]:
    """A simulator that runs for a while, with our prices in it. Its webhooks wait to be taken in."""
    world = World(api_key=KEY, secret=SECRET, payment_link=f"{settings.SITE_URL}/dashboard/billing/pay")
    world.switch("hold", True)
    with Server(world) as server:
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = server.url, KEY
        settings.PADDLE_SIMULATED, settings.PADDLE_MINIMUM_CHARGE = True, 70
        setup.set_up(dry_run=False)
        yield Store(world, server.url)
