"""The plans as they are offered to one visitor: on the pricing page, the homepage and where a plan is changed (B6)."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser

from billing import subscriptions
from billing.models import PlanPrice
from billing.subscriptions import SubscriptionState
from credits.models import Plan
from sidekick.accounts.models import User

FEATURED = "pro"  # The slug of the plan that the pricing page marks.


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan with its price a month and, where there is one, a year.

    `how` says what its button does for this visitor: `sign_up`, `subscribe`, `change`, `cancel`, or `current`.
    """

    plan: Plan
    monthly: PlanPrice
    yearly: PlanPrice | None
    how: str
    featured: bool


def offers_for(visitor: User | AnonymousUser) -> list[Offer]:
    """Returns every plan in the order of the pricing page. One query for visitors, four for accounts."""
    state = subscriptions.state_of(visitor) if isinstance(visitor, User) else None
    by_plan: dict[str, dict[str, PlanPrice]] = {}
    for price in PlanPrice.objects.of_plans():
        by_plan.setdefault(price.plan_id, {})[price.interval] = price
    return [
        Offer(
            plan=found["month"].plan,
            monthly=found["month"],
            yearly=found.get("year"),
            how=how_offered(state, found["month"]),
            featured=slug == FEATURED,
        )
        for slug, found in by_plan.items()
        if "month" in found
    ]


def how_offered(state: SubscriptionState | None, price: PlanPrice) -> str:
    """Returns what an offer's button does, as in `Offer.how`."""
    if state is None:
        return "sign_up"
    if state.plan == price.plan:
        return "current"
    # Free is not bought: cancelling leads there.
    if not price.amount:
        return "cancel" if state.may_cancel else ""
    return "change" if state.subscription else "subscribe"
