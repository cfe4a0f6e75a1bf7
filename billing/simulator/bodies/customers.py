"""Bodies about customers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from billing.simulator.bodies.body import Body, CustomData, Email


class NewCustomer(Body):
    email: Email
    name: str | None = None
    locale: str = "en"
    custom_data: CustomData = None


class CustomerChange(Body):
    email: Email = ""
    name: str | None = None
    locale: str = "en"
    custom_data: CustomData = None
    status: Literal["active", "archived"] = "active"


class PortalSession(Body):
    subscription_ids: Annotated[list[str], Field(max_length=25)] = []
