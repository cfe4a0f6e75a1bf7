"""What things cost, what Paddle told us, and what we know from it.

Money is whole minor units (cents) with a currency. What Paddle names in its own words (statuses, actions, origins)
is kept as text: it adds words without asking.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


class PlanPriceQuerySet(models.QuerySet["PlanPrice"]):
    def per_month(self) -> PlanPriceQuerySet:
        """The monthly price of each plan, with its plan, in the order of the pricing page."""
        return (
            self.filter(interval=PlanPrice.Interval.MONTH, currency="USD")
            .select_related("plan")
            .order_by("plan__position")
        )

    def per_credit(self) -> PlanPriceQuerySet:
        """What one additional credit costs where it may be bought."""
        return self.filter(interval=PlanPrice.Interval.CREDIT, currency="USD").select_related("plan")


class PlanPrice(models.Model):
    """What a plan costs per interval, or what one additional credit costs on it."""

    class Interval(models.TextChoices):
        MONTH = "month"
        YEAR = "year"
        CREDIT = "credit", "one additional credit"

    plan = models.ForeignKey("credits.Plan", on_delete=models.PROTECT, related_name="prices")
    interval = models.CharField(max_length=10, choices=Interval.choices)
    amount = models.PositiveIntegerField(help_text="In minor units of the currency: 1500 is $15.")
    currency = models.CharField(max_length=3, default="USD")
    paddle_price_id = models.CharField(max_length=50, blank=True)

    objects = PlanPriceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "interval", "currency"], name="plan_price_once"),
            models.UniqueConstraint(
                fields=["paddle_price_id"], condition=~Q(paddle_price_id=""), name="paddle_price_names_one_price"
            ),
        ]

    def __str__(self) -> str:
        """The amount as people write it: $15, $0.10."""
        whole, cents = divmod(self.amount, 100)
        figure = f"{whole:,}.{cents:02}" if cents else f"{whole:,}"
        symbol = SYMBOLS.get(self.currency)
        return f"{symbol}{figure}" if symbol else f"{figure} {self.currency}"


class PaddleId(models.CharField):  # type: ignore[type-arg]
    """Paddle's name of a thing: a prefix, an underscore, and 26 characters as of today."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 50
        super().__init__(*args, **kwargs)


class PaddleEventQuerySet(models.QuerySet["PaddleEvent"]):
    def due(self, now: datetime) -> PaddleEventQuerySet:
        """What waits to be applied (again) and has waited long enough, longest first."""
        return self.filter(due_at__lte=now).order_by("due_at")


class PaddleEvent(models.Model):
    """The inbox: each event once, as Paddle sent it, and what became of it (P1, P3)."""

    class State(models.TextChoices):
        RECEIVED = "received", "received, not yet applied"
        APPLIED = "applied"
        STALE = "stale", "stale: something newer is known"
        IGNORED = "ignored", "ignored: nothing here depends on it"
        FAILED = "failed", "failed, will be tried again"

    event_id = PaddleId(primary_key=True)
    notification_id = PaddleId(blank=True, help_text="Of the first delivery; a replay has another.")
    event_type = models.CharField(max_length=100)
    entity_id = PaddleId(blank=True, help_text="The subscription, transaction, … it is about.")
    occurred_at = models.DateTimeField()
    body = models.TextField(help_text="As received.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.TextField(blank=True)
    received_at = models.DateTimeField(default=timezone.now)
    applied_at = models.DateTimeField(null=True, help_text="When it last changed what we hold.")
    due_at = models.DateTimeField(null=True, default=timezone.now, help_text="When the worker next tries.")

    objects = PaddleEventQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "event_id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["received", "applied", "stale", "ignored", "failed"]), name="event_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["received", "failed"]) ^ Q(due_at=None), name="event_waiting_is_due"
            ),
            models.CheckConstraint(condition=Q(state="failed") ^ Q(error=""), name="event_failed_says_why"),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(applied_at__isnull=False), name="event_applied_has_a_time"
            ),
        ]
        indexes = [
            models.Index("due_at", name="event_due", condition=Q(due_at__isnull=False)),
            models.Index(F("received_at").desc(), F("event_id"), name="event_newest"),
            models.Index("entity_id", name="event_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class Snapshot(models.Model):
    """The newest that we know of one of Paddle's things. Only `billing/events.py` writes it.

    The columns are read from `data`, Paddle's whole record then. Newest is by `snapshot_at`, and by `snapshot_event`
    where two events happened in the same microsecond: the order of arrival never matters (P2).
    """

    id = PaddleId(primary_key=True)
    snapshot_at = models.DateTimeField(help_text="When this was so: the event's occurred_at.")
    snapshot_event = PaddleId()
    data = models.JSONField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.id)


class Subscription(Snapshot):
    """`current_billing_period` is not "paid until": Paddle moves it on before the payment."""

    customer_id = PaddleId()
    status = models.CharField(max_length=30, help_text="trialing, active, past_due, paused, canceled, or a newer word.")
    price_id = PaddleId(help_text="Of the plan: custom_data may still name an earlier one.")
    currency = models.CharField(max_length=3)
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    next_billed_at = models.DateTimeField(null=True)
    change_action = models.CharField(max_length=30, blank=True, help_text="Scheduled: cancel, pause or resume.")
    change_at = models.DateTimeField(null=True)
    change_resume_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id__startswith="sub_"), name="subscription_id_is_one"),
            models.CheckConstraint(
                condition=Q(period_starts_at=None) ^ Q(period_ends_at__isnull=False), name="subscription_period_whole"
            ),
            models.CheckConstraint(
                condition=Q(change_action="") ^ Q(change_at__isnull=False), name="subscription_change_has_a_date"
            ),
        ]
        indexes = [models.Index("customer_id", name="subscription_customer")]


class Transaction(Snapshot):
    """Only status completed is money that arrived and was processed; a refund does not change the status."""

    customer_id = PaddleId(blank=True)
    subscription_id = PaddleId(blank=True)
    status = models.CharField(max_length=30)
    origin = models.CharField(max_length=50)
    currency = models.CharField(max_length=3)
    total = models.BigIntegerField(help_text="In minor units, with tax, before Paddle's money credit.")
    tax = models.BigIntegerField()
    grand_total = models.BigIntegerField(help_text="In minor units: what is charged.")
    line_items = models.JSONField(help_text="[{id, price_id, quantity, total, tax}], in minor units, as Paddle lists.")
    invoice_number = models.CharField(max_length=50, blank=True)
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    billed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(id__startswith="txn_"), name="transaction_id_is_one"),
            models.CheckConstraint(
                condition=Q(period_starts_at=None) ^ Q(period_ends_at__isnull=False), name="transaction_period_whole"
            ),
        ]
        indexes = [
            models.Index("customer_id", F("created_at").desc(), name="transaction_customer"),
            models.Index("subscription_id", F("created_at").desc(), name="transaction_subscription"),
        ]


class Adjustment(Snapshot):
    """Money that went back, may go back, or came again: refunds, credits, chargebacks and their reversals."""

    transaction_id = PaddleId()
    subscription_id = PaddleId(blank=True)
    customer_id = PaddleId()
    action = models.CharField(max_length=50)
    status = models.CharField(max_length=30)
    currency = models.CharField(max_length=3)
    total = models.BigIntegerField(help_text="In minor units, with tax.")
    items = models.JSONField(help_text="[{line_item_id, type, total}], in minor units, with tax.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id__startswith="adj_"), name="adjustment_id_is_one")]
        indexes = [models.Index("transaction_id", name="adjustment_transaction")]
