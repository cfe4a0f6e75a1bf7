"""Emails about a plan: its payment failed, its end is scheduled, it has ended (B1, B2, B7).

They are written from the stored snapshots, in the same transaction. Each has a key, so replays, any order and
rollbacks send nothing twice and nothing untrue. Changes older than `NEWS_FOR` send no email: catching up with Paddle,
or the demo's past. The real clock measures that age, not a replay's `now`.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from billing.models import PlanPrice, Subscription
from credits.models import CreditPeriod, Plan
from sidekick.accounts import emails
from sidekick.accounts.models import User

NEWS_FOR = timedelta(days=3)
ENDING = "cancel"


def subscription_changed(subscription: Subscription, *, was_ending: bool) -> None:
    """Tell what a subscription's new snapshot says. Costs nothing where that is nothing to write about.

    `was_ending` is whether the snapshot before this one had its end scheduled: the same cancellation stands in every
    snapshot that follows, and one that was undone and made again is a new one.
    """
    account_id = subscription.account_id
    if account_id is None or not _is_news(subscription.snapshot_at):
        return
    if subscription.status == "past_due":
        _payment_failed(subscription, account_id)
    if subscription.change_action == ENDING and not was_ending:
        _end_scheduled(subscription, account_id)


def plan_ended(subscription: Subscription, period: CreditPeriod, at: datetime) -> None:
    """Tell that the account went over to Free at this moment, from the paid period that was open."""
    if not _is_news(at):
        return
    emails.write(
        "billing/email/plan_ended",
        to=User.objects.get(id=period.account_id),
        key=f"plan_ended:{subscription.id}:{period.pk}",
        context={
            "plan": period.plan,
            "at": at,
            "because": subscription.status,
            "free": Plan.objects.get(slug=Plan.FREE),
        },
    )


def _payment_failed(subscription: Subscription, account_id: uuid.UUID) -> None:
    """Once for each period that was not paid for, however often its payment is tried."""
    start = subscription.period_starts_at or subscription.snapshot_at
    current = CreditPeriod.objects.filter(account_id=account_id, closed_at=None).first()
    grace_until = current.paid_until + settings.PAST_DUE_GRACE if current and current.paid_until else None
    emails.write(
        "billing/email/payment_failed",
        to=User.objects.get(id=account_id),
        key=f"payment_failed:{subscription.id}:{start.isoformat()}",
        context={
            "plan": _plan_of(subscription),
            "stays_until": grace_until if grace_until and grace_until > timezone.now() else None,
            "free": Plan.objects.get(slug=Plan.FREE),
        },
    )


def _end_scheduled(subscription: Subscription, account_id: uuid.UUID) -> None:
    emails.write(
        "billing/email/end_scheduled",
        to=User.objects.get(id=account_id),
        key=f"end_scheduled:{subscription.id}:{subscription.snapshot_at.isoformat()}",
        context={
            "plan": _plan_of(subscription),
            "at": subscription.change_at,
            "free": Plan.objects.get(slug=Plan.FREE),
        },
    )


def _plan_of(subscription: Subscription) -> Plan | None:
    price = PlanPrice.objects.by_paddle_id([subscription.price_id]).get(subscription.price_id)
    return price.plan if price else None


def _is_news(at: datetime) -> bool:
    return at > timezone.now() - NEWS_FOR
