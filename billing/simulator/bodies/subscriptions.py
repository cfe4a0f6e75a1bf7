"""Bodies about subscriptions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue

from billing.simulator.bodies.body import Body, CustomData
from billing.simulator.bodies.transactions import Item

Mode = Literal[
    "prorated_immediately",
    "prorated_next_billing_period",
    "full_immediately",
    "full_next_billing_period",
    "do_not_bill",
]
OnFailure = Literal["prevent_change", "apply_change"]


class ChangedItem(Body):
    price_id: str
    quantity: int | None = None


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
