"""Helpers that read the pages of Billing as a customer does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

from django.contrib.messages import get_messages
from django.test import Client

from billing.models import Adjustment, Transaction
from sidekick.accounts.models import User
from tests.billing.store import price

NOW = datetime(2026, 5, 3, 10, 0, tzinfo=UTC)


HOME = "/dashboard/billing"


SWAP = {"HX-Request": "true", "HX-Target": "main"}


PANEL = {"HX-Request": "true", "HX-Target": "additional-credits"}


ACT = {"HX-Request": "true", "HX-Target": "billing"}


def page(client: Client, path: str = HOME, status: int = 200, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.content[:500]
    return response.content.decode()


def words(html: str) -> str:
    """Returns the text of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<template.*?</template>|<[^>]+>", " ", html, flags=re.S)).split())


def said(response: Any) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def facts(html: str) -> dict[str, str]:
    card = html[html.index('class="facts"') :]
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", card[: card.index("</dl>")]))


def rows(html: str) -> list[dict[str, str]]:
    """Returns the payments of a page: the text of each cell by its label."""
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.S)
    found = []
    for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.S) if body else []:
        cells = {label: words(cell) for label, cell in re.findall(r'data-label="(.*?)">(.*?)</td>', row, re.S)}
        amount = re.search(r'<td class="num strong">(.*?)</td>', row)
        heading = re.search(r"<th.*?>(.*?)</th>", row, re.S)
        assert heading
        assert amount
        found.append({"Date": words(heading[1]), "Amount": words(amount[1]), **cells})
    return found


def buy(client: Client, quantity: object, *, token: object = None, headers: dict[str, str] | None = None) -> Any:
    return client.post(f"{HOME}/credits", {"quantity": quantity, "token": token or uuid4()}, headers=headers)


def paid(account: User, number: int, **changes: Any) -> Transaction:
    """A payment as its snapshot keeps it: 137 credits, unless told otherwise."""
    line = {"id": f"txnitm_{number:03}", "price_id": price("pro", "credit").paddle_price_id, "quantity": 137,
            "total": 1644, "tax": 274, "prorated": False}  # fmt: skip
    at = NOW - timedelta(hours=number)
    columns: dict[str, Any] = {
        "id": f"txn_{number:05}", "account": account, "status": "completed", "origin": "api", "currency": "USD",
        "total": 1644, "tax": 274, "grand_total": 1644, "line_items": [line], "created_at": at, "billed_at": at,
        "snapshot_at": at, "snapshot_event": "evt_1", "data": {}, "settled_at": at,
    }  # fmt: skip
    return Transaction.objects.create(**columns | changes)


def adjusted(payment: Transaction, action: str, total: int, status: str = "approved") -> None:
    Adjustment.objects.create(
        id=f"adj_{uuid4().hex}", transaction_id=payment.id, customer_id="ctm_1", action=action, status=status,
        currency="USD", total=total, items=[], created_at=NOW, snapshot_at=NOW, snapshot_event="evt_1", data={},
    )  # fmt: skip
