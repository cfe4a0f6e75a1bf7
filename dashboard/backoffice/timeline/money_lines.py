"""Lines about payments, credits and usage."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import F, Sum, TextField
from django.db.models.functions import Cast, JSONObject

from billing.models import Adjustment, PaddleEvent, Purchase, Subscription, Transaction
from billing.pages import money
from billing.pages.payment_history import NEVER_DUE
from credits.models import LedgerEntry, UsageRollup
from dashboard.backoffice.timeline.lines import Line, Lines, link_to, newest
from sidekick import formatting
from sidekick.accounts.models import User

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


def payments(account: User, until: datetime, most: int) -> Lines:
    asked = Transaction.objects.filter(account=account).exclude(status__in=NEVER_DUE).defer("data")
    for payment in newest(asked, "created_at", until, most):
        words = f"Payment of {money.written(payment.grand_total, payment.currency)}: {payment.status}"
        tone = {"completed": "good", "past_due": "bad"}.get(payment.status, "info")
        detail = payment.held_up or f"{payment.id} · {payment.origin}"
        yield Line(payment.created_at, "money", words, detail, link=link_to(payment), tone=tone)


def money_back(account: User, until: datetime, most: int) -> Lines:
    own = Transaction.objects.filter(account=account).values("id")
    for adjustment in newest(
        Adjustment.objects.filter(transaction_id__in=own).defer("data"), "created_at", until, most
    ):
        action = adjustment.action.replace("_", " ").capitalize()
        words = f"{action} of {money.written(adjustment.total, adjustment.currency)}: {adjustment.status}"
        detail = f"{adjustment.id} of {adjustment.transaction_id}"
        yield Line(adjustment.created_at, "money", words, detail, link=link_to(adjustment), tone="warn")


def subscriptions(account: User, until: datetime, most: int) -> Lines:
    """Paddle's events about the account's subscriptions, by when they occurred."""
    own = Subscription.objects.filter(account=account).values("id")
    told = PaddleEvent.objects.filter(entity_id__in=own).defer("body")
    for event in newest(told, "occurred_at", until, most):
        words = event.event_type.replace(".", " ").replace("_", " ").capitalize()
        tone = "bad" if event.state == PaddleEvent.State.FAILED else "plain"
        detail = f"{event.entity_id} · {event.state}"
        yield Line(event.occurred_at, "money", words, detail, link=link_to(event), tone=tone)


def purchases(account: User, until: datetime, most: int) -> Lines:
    begun = Purchase.objects.filter(account=account).select_related("price__plan")
    for purchase in newest(begun, "created_at", until, most):
        what = f"{purchase.price.plan.name}, {purchase}"
        words = f"Set out to buy {what} for {money.written(purchase.amount, purchase.currency)}"
        yield Line(purchase.created_at, "money", words, purchase.transaction_id, link=link_to(purchase))


def ledger(account: User, until: datetime, most: int) -> Lines:
    entries = LedgerEntry.objects.filter(account=account).select_related("actor")
    for entry in newest(entries, "created_at", until, most):
        sign = "+" if entry.amount > 0 else ""
        words = f"{entry.get_kind_display()}: {sign}{formatting.exact(entry.amount)} credits"
        by = entry.actor.email if entry.actor else ""
        tone = "good" if entry.amount > 0 else "warn"
        detail = entry.reason or entry.source_key
        yield Line(entry.created_at, "credits", words, detail, by, link_to(entry), tone)


def usage(account: User, until: datetime, most: int) -> Lines:
    """One line per UTC day with usage, from the rollups."""
    # At the last instant of its day, so that today is on top.
    days = UsageRollup.objects.filter(
        account=account.id, grain=UsageRollup.Grain.DAY, bucket__lte=until - DAY + INSTANT
    ).values("bucket")
    share = JSONObject(model="model__name", requests="requests", credits=Cast("credits", TextField()))
    sums = days.annotate(n=Sum("requests"), total=Sum("credits"), shares=ArrayAgg(share, order_by=F("credits").desc()))
    for day in sums.order_by("-bucket")[:most]:
        words = f"{day['n']:,} requests, {formatting.credits(day['total'])} credits"
        parts = tuple(f"{s['model']}: {s['requests']:,} requests, {s['credits']} credits" for s in day["shares"])
        at = day["bucket"] + DAY - INSTANT
        yield Line(at, "usage", words, whole_day=True, parts=parts)
