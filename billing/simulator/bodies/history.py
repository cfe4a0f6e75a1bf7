"""The past that a demo account asks for; Paddle has no such call."""

from __future__ import annotations

from pydantic import AwareDatetime

from billing.simulator.bodies.body import Body, CustomData
from billing.simulator.bodies.customers import NewCustomer


class Purchase(Body):
    at: AwareDatetime
    price_id: str
    quantity: int
    custom_data: CustomData = None


class History(Body):
    customer: NewCustomer
    started_at: AwareDatetime
    price_id: str | None = None
    custom_data: CustomData = None
    purchases: list[Purchase] = []
