"""What a call may carry. An unknown field, a missing one or one of the wrong type is refused, as Paddle does."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from billing.simulator.errors import Refused
from billing.simulator.schemas import Entity

Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,12}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
CustomData = dict[str, JsonValue] | None
Mode = Literal[
    "prorated_immediately",
    "prorated_next_billing_period",
    "full_immediately",
    "full_next_billing_period",
    "do_not_bill",
]
OnFailure = Literal["prevent_change", "apply_change"]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


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


class Item(Body):
    price_id: str
    quantity: int


class ChangedItem(Body):
    price_id: str
    quantity: int | None = None


class CheckoutLink(Body):
    url: str | None = None


class NewTransaction(Body):
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    customer_id: str | None = None
    address_id: str | None = None
    currency_code: Currency = "USD"
    collection_mode: Literal["automatic"] = "automatic"
    custom_data: CustomData = None
    checkout: CheckoutLink | None = None


class TransactionChange(Body):
    status: Literal["canceled"] | None = None
    custom_data: CustomData = None


class Place(Body):
    country_code: str
    postal_code: str | None = None


class TransactionPreview(Body):
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    customer_id: str | None = None
    address_id: str | None = None
    address: Place | None = None
    currency_code: Currency = "USD"


class SubscriptionChange(Body):
    items: Annotated[list[ChangedItem], Field(min_length=1, max_length=100)] | None = None
    proration_billing_mode: Mode | None = None
    on_payment_failure: OnFailure = "prevent_change"
    scheduled_change: JsonValue = None
    next_billed_at: AwareDatetime | None = None
    custom_data: CustomData = None


class Cancel(Body):
    effective_from: Literal["next_billing_period", "immediately"] | None = None


class Pause(Body):
    effective_from: Literal["next_billing_period", "immediately"] | None = None
    resume_at: AwareDatetime | None = None
    on_resume: Literal["start_new_billing_period", "continue_existing_billing_period"] = "start_new_billing_period"


class Resume(Body):
    effective_from: Literal["immediately"] | AwareDatetime = "immediately"
    on_resume: Literal["start_new_billing_period", "continue_existing_billing_period"] | None = None


class Nothing(Body):
    pass


class Charge(Body):
    effective_from: Literal["next_billing_period", "immediately"]
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    on_payment_failure: OnFailure = "prevent_change"


class AdjustedItem(Body):
    item_id: str
    type: Literal["full", "partial"]
    amount: Amount | None = None


class NewAdjustment(Body):
    action: Literal["refund", "credit"]
    transaction_id: str
    reason: Words
    type: Literal["full", "partial"] = "partial"
    items: Annotated[list[AdjustedItem], Field(min_length=1)] | None = None


class NewSetting(Body):
    description: Words
    destination: Words
    subscribed_events: Annotated[list[str], Field(min_length=1)]
    type: Literal["url"] = "url"
    active: bool = True
    api_version: int = 1
    include_sensitive_fields: bool = False
    traffic_source: Literal["platform", "simulation", "all"] = "all"


class SettingChange(Body):
    description: Words = ""
    destination: Words = ""
    subscribed_events: Annotated[list[str], Field(min_length=1)] | None = None
    active: bool = True
    api_version: int = 1
    include_sensitive_fields: bool = False
    traffic_source: Literal["platform", "simulation", "all"] = "all"


class NewToken(Body):
    name: Words
    description: str | None = None


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


B = TypeVar("B", bound=Body)


def read(shape: type[B], raw: bytes) -> B:
    """A request's body in this shape. Raises `Refused` `invalid_field` with one message for each field."""
    try:
        return shape.model_validate_json(raw or b"{}")
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        if faults[0]["type"] == "json_invalid":
            raise Refused("bad_request", "The body is not JSON.") from error
        pairs = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults]
        raise Refused("invalid_field", "Request does not pass validation.", errors=pairs) from error


def given(body: Body) -> Entity:
    """The fields that the caller sent, each of them complete, as plain data."""
    every: dict[str, Any] = body.model_dump()
    return {name: every[name] for name in every if name in body.model_fields_set}
