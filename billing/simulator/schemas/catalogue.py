"""Products and prices."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from billing.simulator.schemas.times import Duration

# Free JSON, which the seller chooses and Paddle hands back.
CustomData = dict[str, Any] | None
TaxMode = Literal["account_setting", "external", "internal", "location"]


class Money(TypedDict):
    """An amount in minor units."""

    amount: str
    currency_code: str


class UnitPriceOverride(TypedDict):
    country_codes: list[str]
    unit_price: Money


class TrialPeriod(Duration):
    requires_payment_method: bool
    unit_price: None
    unit_price_overrides: list[UnitPriceOverride]


class QuantityLimits(TypedDict):
    minimum: int
    maximum: int


class Product(TypedDict):
    id: str
    name: str
    type: Literal["standard", "custom"]
    tax_category: str
    description: str | None
    image_url: str | None
    custom_data: CustomData
    status: Literal["active", "archived"]
    import_meta: None
    created_at: str
    updated_at: str


class Price(TypedDict):
    id: str
    product_id: str
    type: Literal["standard", "custom"]
    name: str | None
    description: str
    billing_cycle: Duration | None
    trial_period: TrialPeriod | None
    tax_mode: TaxMode
    unit_price: Money
    unit_price_overrides: list[UnitPriceOverride]
    quantity: QuantityLimits
    custom_data: CustomData
    status: Literal["active", "archived"]
    import_meta: None
    created_at: str
    updated_at: str
