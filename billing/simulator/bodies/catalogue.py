"""Bodies about products and prices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from billing.simulator.bodies.body import Amount, Body, Currency, CustomData, Words


class Money(Body):
    amount: Amount
    currency_code: Currency


class Override(Body):
    country_codes: list[str]
    unit_price: Money


class Duration(Body):
    interval: Literal["day", "week", "month", "year"]
    frequency: Annotated[int, Field(ge=1)]


class Trial(Duration):
    requires_payment_method: bool = True
    unit_price: None = None
    unit_price_overrides: list[Override] = []


class Limits(Body):
    minimum: Annotated[int, Field(ge=1)]
    maximum: Annotated[int, Field(ge=1, le=999_999_999)]


class NewProduct(Body):
    name: Words
    tax_category: Words
    description: str | None = None
    type: Literal["standard", "custom"] = "standard"
    image_url: str | None = None
    custom_data: CustomData = None


class ProductChange(Body):
    name: Words = ""
    tax_category: Words = ""
    description: str | None = None
    image_url: str | None = None
    custom_data: CustomData = None
    status: Literal["active", "archived"] = "active"


class NewPrice(Body):
    product_id: str
    description: Words
    unit_price: Money
    name: str | None = None
    type: Literal["standard", "custom"] = "standard"
    billing_cycle: Duration | None = None
    trial_period: Trial | None = None
    tax_mode: Literal["account_setting", "external", "internal", "location"] = "account_setting"
    unit_price_overrides: list[Override] = []
    quantity: Limits = Limits(minimum=1, maximum=100)
    custom_data: CustomData = None


class PriceChange(Body):
    description: Words = ""
    name: str | None = None
    unit_price: Money | None = None
    billing_cycle: Duration | None = None
    trial_period: Trial | None = None
    tax_mode: Literal["account_setting", "external", "internal", "location"] = "account_setting"
    unit_price_overrides: list[Override] = []
    quantity: Limits | None = None
    custom_data: CustomData = None
    status: Literal["active", "archived"] = "active"
