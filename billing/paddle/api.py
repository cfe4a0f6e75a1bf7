"""The only module that calls Paddle's API. An `Entity` is Paddle's own JSON, with amounts as strings of minor units
and times in RFC 3339; `schemas.py` reads the fields that matter.

Every function raises `PaddleFault`, whose text is a sentence for customers, and nothing else. Paddle knows no
idempotency keys: after a write whose outcome is unknown, look before asking again. Changes of a subscription look by
themselves.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.conf import settings

from billing.paddle import preview
from billing.paddle.errors import PaddleFault
from billing.paddle.preview import Preview, at
from billing.paddle.schemas import moment

if TYPE_CHECKING:
    from billing.paddle.client import Client, Method

__all__ = ["Entity", "PaddleFault", "Preview"]

T = TypeVar("T")
Entity = dict[str, Any]

TRANSACTIONS_A_PAGE = 30  # Paddle's limit; of everything else it lists 200.
A_PAGE = "200"
PAGES_LOOKED_THROUGH = 10
CLOCKS_DIFFER = timedelta(minutes=5)
ADDRESS = re.compile(r"(https?://[\w.:\[\]-]+)([/?#]\S*)?", re.ASCII)

logger = logging.getLogger(__name__)


def customer_of(account_id: UUID, *, email: str, name: str) -> str | None:
    """Returns Paddle's id of the customer that is this account, made if need be.

    None when another customer has the email: nobody proved to Paddle that it is theirs, so the checkout asks for it.
    """
    ours = {"account_id": str(account_id)}
    body = {"email": email, "custom_data": ours} | ({"name": name} if name else {})
    try:
        return str(_client().write("POST", "create_customer", body)["id"])
    except PaddleFault as fault:
        if fault.unknown_outcome:
            holders = _looked_up(lambda: _holders(email))
            if not holders:
                raise
        elif fault.code == "customer_already_exists":
            holders = _holders(email)
        else:
            raise
    return next((str(them["id"]) for them in holders if at(them, "custom_data", "account_id") == str(account_id)), None)


def open_transaction(*, price_id: str, quantity: int, customer_id: str | None, custom_data: dict[str, str]) -> Entity:
    """Make a transaction that waits for its checkout. Nothing is charged until someone completes that.

    After an unknown outcome `find_transaction` tells whether it exists.
    """
    body: Entity = {"items": [{"price_id": price_id, "quantity": quantity}], "custom_data": custom_data}
    return _client().write("POST", "create_transaction", body | ({"customer_id": customer_id} if customer_id else {}))


def find_transaction(*, customer_id: str | None, purchase_id: str, since: datetime) -> Entity | None:
    """Returns the transaction whose custom data name this purchase, among the newest 300 made since then."""
    whose = {"customer_id": customer_id} if customer_id else {}
    newest = _listed("list_transactions", per_page=str(TRANSACTIONS_A_PAGE), order_by="id[DESC]", **whose)
    for found in islice(newest, PAGES_LOOKED_THROUGH * TRANSACTIONS_A_PAGE):
        if moment(found["created_at"]) < since - CLOCKS_DIFFER:
            return None
        # A buyer's own checkout may name any purchase; only what our key made is of origin api.
        if at(found, "custom_data", "purchase_id") == purchase_id and found.get("origin") == "api":
            return found
    return None


def transaction(transaction_id: str) -> Entity:
    """Returns a transaction as it is now."""
    return _client().read("get_transaction", transaction_id=transaction_id)


def cancel_transaction(transaction_id: str) -> Entity:
    """Let nobody pay it any more. Paddle refuses where someone has."""
    return _settled(
        lambda: _client().write("PATCH", "update_transaction", {"status": "canceled"}, transaction_id=transaction_id),
        look=lambda: transaction(transaction_id),
        as_wished=lambda found: found.get("status") == "canceled",
    )


def invoice_url(transaction_id: str) -> str:
    """Returns a link to the PDF that works for an hour. Transactions that cost nothing have none."""
    found = _client().read("get_pdf_for_transaction", {"disposition": "attachment"}, transaction_id=transaction_id)
    return _checked(found.get("url"))


def subscription(subscription_id: str) -> Entity:
    """Returns a subscription as it is now."""
    return _client().read("get_subscription", subscription_id=subscription_id)


def subscriptions() -> Iterator[Entity]:
    """Yields all that Paddle lists, page by page."""
    return _listed("list_subscriptions", per_page=A_PAGE, order_by="id[ASC]")


def cancel(subscription_id: str, *, at_once: bool = False) -> Entity:
    """End it when the paid period ends, or now, as one that is paused must."""
    return _changed(
        "POST",
        "cancel_subscription",
        subscription_id,
        {"effective_from": "immediately" if at_once else "next_billing_period"},
        as_wished=lambda found: found.get("status") == "canceled" or _scheduled(found) == "cancel",
    )


def undo_scheduled_change(subscription_id: str) -> Entity:
    """Undo the cancellation, pause or resumption that is scheduled."""
    return _changed(
        "PATCH",
        "update_subscription",
        subscription_id,
        {"scheduled_change": None},
        as_wished=lambda found: found.get("status") != "canceled" and not _scheduled(found),
    )


def resume(subscription_id: str) -> Entity:
    """Start a new period now, which charges the card."""
    return _changed(
        "POST",
        "resume_subscription",
        subscription_id,
        {"effective_from": "immediately"},
        as_wished=lambda found: found.get("status") == "active",
    )


def change_plan(subscription_id: str, *, price_id: str, mode: str) -> Entity:
    """Have this price and no other. `mode` is Paddle's proration_billing_mode. A declined card changes nothing."""
    return _changed(
        "PATCH",
        "update_subscription",
        subscription_id,
        _new_plan(price_id, mode),
        as_wished=lambda found: [at(item, "price", "id") for item in found.get("items") or []] == [price_id],
    )


def preview_change(subscription_id: str, *, price_id: str, mode: str) -> Preview:
    """Returns what `change_plan` would charge or credit at once, and the next bill, in minor units."""
    body = _new_plan(price_id, mode)
    found = _client().ask("PATCH", "preview_update_subscription", body, subscription_id=subscription_id)
    return preview.read(found, mode=mode)


def card_update(subscription_id: str) -> Entity:
    """Returns the transaction whose checkout takes a new card; for an overdue subscription the one that pays it."""
    return _client().read("get_transaction_to_update_payment_method", subscription_id=subscription_id)


def portal_url(customer_id: str, subscription_ids: list[str]) -> str:
    """Returns a signed-in link to Paddle's pages for this customer. Make one per click; never store or log it."""
    body = {"subscription_ids": subscription_ids} if subscription_ids else {}
    made = _client().ask("POST", "create_portal_session", body, customer_id=customer_id)
    return _checked(at(made, "urls", "general", "overview"))


def events_after(cursor: str) -> Iterator[Entity]:
    """Yields the events later than the one with this id, oldest first; for "" all that Paddle keeps (90 days)."""
    return _listed("list_events", per_page=A_PAGE, order_by="id[ASC]", **({"after": cursor} if cursor else {}))


def catalogue(kind: str, **filters: str) -> Iterator[Entity]:
    """Yields all of a kind: `product`, `price`, `client_token` or `notification_setting`."""
    return _listed(f"list_{kind}s", per_page=A_PAGE, **filters)


def make(kind: str, body: Entity) -> Entity:
    """Add one to the catalogue."""
    return _client().write("POST", f"create_{kind}", body)


def change(kind: str, entity_id: str, body: Entity) -> Entity:
    """Change these fields of one in the catalogue."""
    return _client().write("PATCH", f"update_{kind}", body, **{f"{kind}_id": entity_id})


def _client() -> Client:
    return _connected(
        os.getpid(),
        settings.PADDLE_API_URL,
        settings.PADDLE_API_KEY,
        settings.PADDLE_READ_SECONDS,
        settings.PADDLE_WRITE_SECONDS,
    )


@lru_cache(maxsize=1)
def _connected(process: int, url: str, key: str, read_seconds: int, write_seconds: int) -> Client:
    """One for each process, made when it is first needed: connections must not cross a fork."""
    from billing.paddle.client import Client

    return Client(url, key, read_seconds=read_seconds, write_seconds=write_seconds)


def _listed(endpoint: str, **params: str) -> Iterator[Entity]:
    return _client().pages(endpoint, **params)


def _holders(email: str) -> list[Entity]:
    """Returns the customers with exactly this email; Paddle hides the archived unless asked for."""
    return list(_listed("list_customers", email=email, status="active,archived"))


def _changed(
    method: Method, endpoint: str, subscription_id: str, body: Entity, *, as_wished: Callable[[Entity], bool]
) -> Entity:
    return _settled(
        lambda: _client().write(method, endpoint, body, subscription_id=subscription_id),
        look=lambda: subscription(subscription_id),
        as_wished=as_wished,
    )


def _settled(write: Callable[[], Entity], *, look: Callable[[], Entity], as_wished: Callable[[Entity], bool]) -> Entity:
    """Write once. Where the outcome is unknown, look: what is as wished needs no second attempt."""
    try:
        return write()
    except PaddleFault as fault:
        found = _looked_up(look) if fault.unknown_outcome else None
        if found is None or not as_wished(found):
            raise
        return found


def _looked_up(look: Callable[[], T]) -> T | None:
    try:
        return look()
    except PaddleFault:
        return None


def _scheduled(found: Entity) -> str | None:
    action: str | None = at(found, "scheduled_change", "action")
    return action


def _new_plan(price_id: str, mode: str) -> Entity:
    return {
        "items": [{"price_id": price_id, "quantity": 1}],
        "proration_billing_mode": mode,
        "on_payment_failure": "prevent_change",
    }


def _checked(url: object) -> str:
    """An address that customers may be sent to: https, or what runs on this machine beside us."""
    match = ADDRESS.fullmatch(url) if isinstance(url, str) else None
    homes = [f"{home}/" for home in (settings.PADDLE_API_URL, settings.SITE_URL)]
    if not match or not (match[1].startswith("https://") or any(home.startswith(f"{match[1]}/") for home in homes)):
        logger.error("paddle gave no address that customers may be sent to")
        raise PaddleFault("broken")
    return match[0]
