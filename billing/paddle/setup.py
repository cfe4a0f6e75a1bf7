"""Setting up Paddle's account: products, prices, a client token, and the destination of events (P6).

Each is found by the key in its `custom_data` and made where it is missing, so running this twice adds nothing. Things
that are archived at Paddle stay so and are replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from billing.models import PlanPrice
from billing.paddle import api

KEY = "sidekick_key"
TOKEN_NAME = "Sidekick dashboard"  # noqa: S105 (not the token)
TAX_CATEGORY = "saas"
WEBHOOK_PATH = "/webhooks/paddle"
COMPARED = ("unit_price", "billing_cycle", "quantity")

# Each changes a snapshot, or tells an operator of something to do.
EVENTS = [
    f"{entity}.{what}"
    for entity, words in {
        "customer": "created updated",
        "subscription": "created imported activated trialing updated past_due paused resumed canceled",
        "transaction": "created ready billed paid completed past_due payment_failed updated canceled revised",
        "adjustment": "created updated",
        "payment_method": "saved deleted",
        "api_key": "expiring expired",
        "api_key_exposure": "created",
    }.items()
    for what in words.split()
]


@dataclass
class Setup:
    """The result: a line for each thing found, made or changed, and values for the environment.

    `webhook_secret` is empty unless its destination was made just now. It is a secret: it signs who paid.
    """

    lines: list[str] = field(default_factory=list)
    client_token: str = ""
    webhook_secret: str = ""


def set_up(*, dry_run: bool) -> Setup:
    """Bring Paddle's account in line with our prices, and note the ids of Paddle's prices in ours.

    A dry run only says what it would do. Raises `PaddleFault`; what was done until then is found the next time.
    """
    setup = Setup()
    maker = _Maker(setup.lines, dry_run)
    products = list(api.catalogue("product", status="active"))
    on_sale = {product["id"] for product in products}
    # A price of an archived product can't be bought, even though it is active itself.
    prices = [price for price in api.catalogue("price", status="active") if price["product_id"] in on_sale]
    for ours in PlanPrice.objects.filter(amount__gt=0).select_related("plan").order_by("plan__position", "pk"):
        product = maker.have("product", _product(ours), products)
        _have_price(ours, product, prices, maker)
    setup.client_token = _have_client_token(maker)
    setup.webhook_secret = _have_destination(maker)
    return setup


@dataclass
class _Maker:
    """Makes and changes, and says so; in a dry run only says so."""

    lines: list[str]
    dry_run: bool

    def have(self, kind: str, wanted: api.Entity, known: list[api.Entity]) -> api.Entity:
        """The one of `known` with the same key, or a new one, which joins them."""
        key = wanted["custom_data"][KEY]
        found = next((entity for entity in known if (entity.get("custom_data") or {}).get(KEY) == key), None)
        if found is None:
            found = self.make(kind, wanted, f"{kind} {key}")
            known.append(found)
        return found

    def make(self, kind: str, body: api.Entity, name: str) -> api.Entity:
        if self.dry_run:
            self.lines.append(f"would make {name}")
            return {"id": "", **body}
        made = api.make(kind, body)
        self.lines.append(f"made {name}: {made['id']}")
        return made

    def change(self, kind: str, entity_id: str, body: api.Entity, name: str) -> None:
        if not self.dry_run:
            api.change(kind, entity_id, body)
        self.lines.append(f"{'would change' if self.dry_run else 'changed'} {name}: {', '.join(body)}")

    def note(self, ours: PlanPrice, price_id: str, name: str) -> None:
        """Link our price to this price at Paddle. The former id stays known: subscribers still pay it."""
        if not self.dry_run:
            former = {ours.paddle_price_id, *ours.former_price_ids} - {"", price_id}
            ours.paddle_price_id, ours.former_price_ids = price_id, sorted(former)
            ours.save(update_fields=["paddle_price_id", "former_price_ids"])
        self.lines.append(f"{'would note' if self.dry_run else 'noted'} {name}: {price_id or 'its new id'}")


def _product(ours: PlanPrice) -> api.Entity:
    """Credits are a product of their own: they are no part of any plan's subscription."""
    credits = ours.interval == PlanPrice.Interval.CREDIT
    return {
        "name": "Sidekick credits" if credits else f"Sidekick {ours.plan.name}",
        "tax_category": TAX_CATEGORY,
        "custom_data": {KEY: "credits" if credits else ours.plan_id},
    }


def _price(ours: PlanPrice) -> api.Entity:
    """The quantity's limits are explicit: Paddle's own would be 1 to 100."""
    credits = ours.interval == PlanPrice.Interval.CREDIT
    name = "Additional credit" if credits else f"{ours.plan.name}, every {ours.interval}"
    return {
        "name": name,
        "description": name,
        "unit_price": {"amount": str(ours.amount), "currency_code": ours.currency},
        "billing_cycle": None if credits else {"interval": str(ours.interval), "frequency": 1},
        "quantity": {"minimum": ours.least if credits else 1, "maximum": ours.most if credits else 1},
        "custom_data": {KEY: f"{ours.plan_id}-{ours.interval}-{ours.currency}".lower()},
    }


def _have_price(ours: PlanPrice, product: api.Entity, known: list[api.Entity], maker: _Maker) -> None:
    """A price that differs is changed in place: subscribers keep their price's id."""
    wanted = _price(ours)
    found = next((price for price in known if price["id"] == ours.paddle_price_id != ""), None)
    if found is None:
        found = maker.have("price", wanted | {"product_id": product["id"]}, known)
    name = f"price {wanted['custom_data'][KEY]}"
    differing = {part: wanted[part] for part in COMPARED if not _agrees(found.get(part), wanted[part])}
    if differing:
        maker.change("price", found["id"], differing, name)
    if found["id"] != ours.paddle_price_id:
        maker.note(ours, found["id"], name)


def _agrees(found: Any, wanted: Any) -> bool:
    """Fields that Paddle adds are no difference."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(found.get(name) == value for name, value in wanted.items())
    return bool(found == wanted)


def _have_client_token(maker: _Maker) -> str:
    """It opens checkouts in the browser and is no secret, but each one is one more to revoke."""
    found = next((it for it in api.catalogue("client_token", status="active") if it.get("name") == TOKEN_NAME), None)
    if found is None:
        body = {"name": TOKEN_NAME, "description": "Opens checkouts in the account dashboard."}
        found = maker.make("client_token", body, "client token")
    return str(found.get("token") or "")


def _have_destination(maker: _Maker) -> str:
    """The secret, when the destination is new. Simulated traffic of Paddle's own would be taken for real."""
    wanted: api.Entity = {
        "description": TOKEN_NAME,
        "destination": settings.SITE_URL + WEBHOOK_PATH,
        "active": True,
        "traffic_source": "platform",
        "subscribed_events": EVENTS,
    }
    name = f"notification destination {wanted['destination']}"
    if not settings.PADDLE_SIMULATED and not wanted["destination"].startswith("https://"):
        maker.lines.append(f"left out {name}: Paddle can only reach an https address")
        return ""
    known = api.catalogue("notification_setting")
    found = next((it for it in known if it.get("destination") == wanted["destination"]), None)
    if found is None:
        body = wanted | {"type": "url", "api_version": 1, "include_sensitive_fields": False}
        del body["active"]
        return str(maker.make("notification_setting", body, name).get("endpoint_secret_key") or "")
    names = {event.get("name") for event in found.get("subscribed_events") or []}
    differing = {part: wanted[part] for part in ("active", "traffic_source") if found.get(part) != wanted[part]}
    if not names >= set(EVENTS):
        differing["subscribed_events"] = sorted(names | set(EVENTS))
    if differing:
        maker.change("notification_setting", found["id"], differing, name)
    return ""
