"""Schemas of Paddle's events and entities, as far as we read them.

Fields we don't name are Paddle's to add, and words (statuses, actions) are text, never enums: a new one is no error.
Required are the fields that a snapshot can't do without. Amounts arrive as strings of whole minor units, times with 0
to 9 fractional digits, of which PostgreSQL keeps six.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, PlainValidator, StringConstraints, ValidationError
from pydantic_core import from_json


class MalformedData(ValueError):
    """Something that is not what Paddle documents; the words name the fields, never their values."""


def moment(value: object) -> datetime:
    """A time with its zone, in UTC; never compare them as strings."""
    if not isinstance(value, str):
        raise ValueError("A time must be a string.")
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("This is no time.") from None
    if parsed.tzinfo is None or not 1970 <= parsed.year < 9000:
        raise ValueError("A time needs its zone and a year from 1970 on.")
    return parsed.astimezone(UTC)


M = TypeVar("M", bound=BaseModel)
Moment = Annotated[datetime, PlainValidator(moment)]
# Letters are Paddle's habit, the length may change: what counts is that an id can't be taken for anything else.
ID = r"^[a-z]+_[A-Za-z0-9]+$"


def starting(prefix: str) -> StringConstraints:
    """An id that names this kind of thing."""
    return StringConstraints(pattern=ID.replace("[a-z]+", prefix), max_length=50)


Id = Annotated[str, StringConstraints(pattern=ID, max_length=50)]
EventType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)+$", max_length=100)]


class Envelope(BaseModel):
    """The fields that every event has; `data` is the whole entity as it was then."""

    event_id: Annotated[str, starting("evt")]
    event_type: EventType
    occurred_at: Moment
    notification_id: Id | None = None
    data: dict[str, Any]

    @property
    def entity(self) -> str:
        """Returns the kind of its entity: the first word of its type."""
        return self.event_type.split(".")[0]

    @property
    def entity_id(self) -> str:
        found = self.data.get("id")
        return found if isinstance(found, str) and re.fullmatch(ID, found) and len(found) <= 50 else ""


class Updated(BaseModel):
    """When an entity that was read from the API last changed."""

    updated_at: Moment


class Span(BaseModel):
    starts_at: Moment
    ends_at: Moment


class Price(BaseModel):
    id: Id


class SubscriptionItem(BaseModel):
    price: Price
    status: str = "active"
    recurring: bool = True


class ScheduledChange(BaseModel):
    action: Annotated[str, Field(min_length=1)]
    effective_at: Moment
    resume_at: Moment | None = None


class CustomerData(BaseModel):
    id: Annotated[str, starting("ctm")]
    email: str
    status: str

    def columns(self) -> dict[str, Any]:
        return {"email": self.email[:320], "status": self.status}


class SubscriptionData(BaseModel):
    id: Annotated[str, starting("sub")]
    customer_id: Id
    status: str
    currency_code: str
    items: Annotated[list[SubscriptionItem], Field(min_length=1)]
    current_billing_period: Span | None = None
    next_billed_at: Moment | None = None
    scheduled_change: ScheduledChange | None = None
    started_at: Moment | None = None
    paused_at: Moment | None = None
    canceled_at: Moment | None = None

    def columns(self) -> dict[str, Any]:
        period, change = self.current_billing_period, self.scheduled_change
        running = [item for item in self.items if item.recurring and item.status != "inactive"]
        return {
            "customer_id": self.customer_id,
            "status": self.status,
            "price_id": (running or self.items)[0].price.id,
            "currency": self.currency_code,
            "period_starts_at": period and period.starts_at,
            "period_ends_at": period and period.ends_at,
            "next_billed_at": self.next_billed_at,
            "change_action": change.action if change else "",
            "change_at": change and change.effective_at,
            "change_resume_at": change and change.resume_at,
            "started_at": self.started_at,
            "paused_at": self.paused_at,
            "canceled_at": self.canceled_at,
        }


class Totals(BaseModel):
    total: int
    tax: int


class GrandTotals(Totals):
    grand_total: int


class LineItem(BaseModel):
    id: Id
    price_id: Id | None = None
    quantity: int
    totals: Totals
    proration: dict[str, Any] | None = None


class Details(BaseModel):
    totals: GrandTotals
    line_items: list[LineItem]


class TransactionData(BaseModel):
    id: Annotated[str, starting("txn")]
    customer_id: Id | None = None
    subscription_id: Id | None = None
    status: str
    origin: str
    currency_code: str
    details: Details
    invoice_number: str | None = None
    billing_period: Span | None = None
    created_at: Moment
    billed_at: Moment | None = None

    def columns(self) -> dict[str, Any]:
        totals, period = self.details.totals, self.billing_period
        return {
            "customer_id": self.customer_id or "",
            "subscription_id": self.subscription_id or "",
            "status": self.status,
            "origin": self.origin,
            "currency": self.currency_code,
            "total": totals.total,
            "tax": totals.tax,
            "grand_total": totals.grand_total,
            "line_items": [
                {
                    "id": line.id,
                    "price_id": line.price_id or "",
                    "quantity": line.quantity,
                    "total": line.totals.total,
                    "tax": line.totals.tax,
                    "prorated": line.proration is not None,
                }
                for line in self.details.line_items
            ],
            "invoice_number": self.invoice_number or "",
            "period_starts_at": period and period.starts_at,
            "period_ends_at": period and period.ends_at,
            "created_at": self.created_at,
            "billed_at": self.billed_at,
        }


class AdjustedTotals(BaseModel):
    total: int


class AdjustmentItem(BaseModel):
    item_id: Id
    type: str
    totals: AdjustedTotals


class AdjustmentData(BaseModel):
    id: Annotated[str, starting("adj")]
    transaction_id: Id
    subscription_id: Id | None = None
    customer_id: Id
    action: str
    status: str
    currency_code: str
    totals: AdjustedTotals
    items: list[AdjustmentItem] | None = None
    created_at: Moment

    def columns(self) -> dict[str, Any]:
        return {
            "transaction_id": self.transaction_id,
            "subscription_id": self.subscription_id or "",
            "customer_id": self.customer_id,
            "action": self.action,
            "status": self.status,
            "currency": self.currency_code,
            "total": self.totals.total,
            "items": [
                {"line_item_id": item.item_id, "type": item.type, "total": item.totals.total}
                for item in self.items or []
            ],
            "created_at": self.created_at,
        }


Data = CustomerData | SubscriptionData | TransactionData | AdjustmentData


def envelope(body: bytes) -> Envelope:
    """Returns the event in a body. Raises `MalformedData` when it is not JSON or lacks what every event has."""
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedData("The body is not JSON.") from error
    return read(Envelope, content)


def read(schema: type[M], content: object) -> M:
    """Returns `content` as this schema. Raises `MalformedData` with the first fields that are missing or wrong."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        words = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5])
        raise MalformedData(words) from error
