"""Prices, Paddle's inbox and the snapshots of its entities, and the purchases that we open.

Money is whole minor units (cents) with a currency. Paddle's own words (statuses, actions, origins) are text, not
enums: it adds words without asking.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

CURRENCY = "USD"  # Of all that we sell; Paddle converts it for buyers.
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


class PlanPriceQuerySet(models.QuerySet["PlanPrice"]):
    def of_plans(self) -> PlanPriceQuerySet:
        """Returns what plans cost, Free included, with their plans, in the order of the pricing page."""
        periods = [PlanPrice.Interval.MONTH, PlanPrice.Interval.YEAR]
        listed = self.filter(interval__in=periods, currency=CURRENCY).select_related("plan")
        return listed.order_by("plan__position", "interval")

    def per_month(self) -> PlanPriceQuerySet:
        """Returns the monthly price of each plan, as `of_plans`."""
        return self.of_plans().filter(interval=PlanPrice.Interval.MONTH)

    def for_sale(self) -> PlanPriceQuerySet:
        """Returns the prices at which plans are sold, as `of_plans`, without Free."""
        return self.of_plans().filter(amount__gt=0)

    def per_credit(self) -> PlanPriceQuerySet:
        """Returns what one additional credit costs on each plan where it may be bought, with the plan."""
        return self.filter(interval=PlanPrice.Interval.CREDIT, currency=CURRENCY).select_related("plan")

    def known_to_paddle(self) -> PlanPriceQuerySet:
        """Returns the prices that `paddle_setup` has made at Paddle, so that a checkout can charge them."""
        return self.exclude(paddle_price_id="")

    def by_paddle_id(self, ids: Collection[str]) -> dict[str, PlanPrice]:
        """Returns our price for each of these ids at Paddle, former ones that subscribers still pay included."""
        paid = PlanPrice.objects.for_sale().filter(plan=OuterRef("plan")).order_by()
        monthly = paid.filter(interval=PlanPrice.Interval.MONTH).values("amount")
        # As `Plan.monthly_amount` has it.
        yearly = paid.filter(interval=PlanPrice.Interval.YEAR).values_list(F("amount") / 12)
        found = self.filter(Q(paddle_price_id__in=ids) | Q(former_price_ids__overlap=list(ids)))
        plan_amount = Coalesce(Subquery(monthly), Subquery(yearly), 0)
        known = found.select_related("plan").annotate(plan_amount=plan_amount)
        for price in known:
            # Plans are compared for each payment of a list: what that asks for comes with the prices.
            price.plan.monthly_amount = vars(price)["plan_amount"]
        former = {name: price for price in known for name in price.former_price_ids}
        return former | {price.paddle_price_id: price for price in known if price.paddle_price_id}


class PlanPrice(models.Model):
    """The price of a plan for an interval, or of one additional credit on it."""

    class Interval(models.TextChoices):
        MONTH = "month"
        YEAR = "year"
        CREDIT = "credit", "one additional credit"

    plan = models.ForeignKey("credits.Plan", on_delete=models.PROTECT, related_name="prices")
    interval = models.CharField(max_length=10, choices=Interval.choices)
    amount = models.PositiveIntegerField(help_text="In minor units of the currency: 1500 is $15.")
    currency = models.CharField(max_length=3, default=CURRENCY)
    paddle_price_id = models.CharField(max_length=50, blank=True)
    former_price_ids = ArrayField(
        models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text="Earlier prices at Paddle that subscribers still pay, joined by commas.",
    )
    most = models.PositiveIntegerField(default=1, help_text="How many may be bought at once: 300 credits, one plan.")

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

    def clean(self) -> None:
        """An id at Paddle stands for one of our prices, now and ever."""
        ids = {self.paddle_price_id, *self.former_price_ids} - {""}
        others = PlanPrice.objects.by_paddle_id(ids).values() if ids else ()
        if any(other.pk != self.pk for other in others):
            raise ValidationError("Another price has one of these Paddle ids, or had it before.")

    @property
    def least(self) -> int:
        """The smallest quantity that Paddle agrees to charge for."""
        return max(1, -(-settings.PADDLE_MINIMUM_CHARGE // self.amount)) if self.amount else 1


class PaddleId(models.CharField):  # type: ignore[type-arg]
    """Paddle's name of a thing: a prefix, an underscore, and 26 characters as of today."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 50
        super().__init__(*args, **kwargs)


class PaddleEventQuerySet(models.QuerySet["PaddleEvent"]):
    def due(self, now: datetime) -> PaddleEventQuerySet:
        """Returns the events whose next attempt is due, the longest waiting first."""
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

    def store(self) -> bool:
        """Insert it, unless it is there. Returns whether it was new. Of two at once the second waits for the first."""
        columns = ["event_id", "notification_id", "event_type", "entity_id", "occurred_at", "body", "state"]
        columns += ["attempts", "error", "received_at", "applied_at", "due_at"]
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO billing_paddleevent ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608
                " ON CONFLICT (event_id) DO NOTHING",
                [getattr(self, column) for column in columns],
            )
            return bool(cursor.rowcount)


class Snapshot(models.Model):
    """The newest record of one of Paddle's entities, as `billing/paddle/snapshots.py` stores it.

    `ownership` sets the account, `fulfilment` and `schedule` note what is settled, deletion of an account erases.

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


class Customer(Snapshot):
    """A payer as Paddle knows them. Only our API key can set a customer's `custom_data`, never a buyer."""

    account = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="paddle_customer",
        help_text="Whose checkouts are opened with this customer.",
    )
    email = models.CharField(max_length=320)
    status = models.CharField(max_length=30)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id__startswith="ctm_"), name="customer_id_is_one")]

    def forget(self) -> None:
        """Erase all but the account's id in `custom_data`, so that later events find this account and no other."""
        self.email, self.data = "", {"custom_data": self.data.get("custom_data")}


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def live(self) -> SubscriptionQuerySet:
        """Returns the subscriptions that may still charge, or be resumed."""
        return self.exclude(status="canceled")

    def over(self) -> SubscriptionQuerySet:
        """Returns the subscriptions that pay for nothing (now), whose consequences the schedule has not drawn yet."""
        return self.filter(status__in=["canceled", "paused", "past_due"], wound_up_at=None)


class Subscription(Snapshot):
    """`current_billing_period` is not "paid until": Paddle moves it on before the payment."""

    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="subscriptions"
    )
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
    wound_up_at = models.DateTimeField(
        null=True, help_text="When the clock ended the plan for it; anything new about it asks again."
    )

    objects = SubscriptionQuerySet.as_manager()

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
        indexes = [
            models.Index("customer_id", name="subscription_customer"),
            models.Index(
                "account",
                name="subscription_over",
                condition=Q(status__in=["canceled", "paused", "past_due"], wound_up_at=None),
            ),
        ]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transaction; money in minor units with tax, negative where proration gives some back."""

    id: str
    price_id: str
    quantity: int
    total: int
    tax: int
    prorated: bool = False

    @property
    def given_up(self) -> bool:
        """Whether proration gives money back for this line."""
        return self.quantity <= 0 or self.total < 0


class TransactionQuerySet(models.QuerySet["Transaction"]):
    def waiting(self) -> TransactionQuerySet:
        """Returns the completed payments that are not fulfilled yet."""
        return self.filter(status="completed", settled_at=None)

    def unclaimed(self) -> TransactionQuerySet:
        """Returns those of no account we know: an operator says whose they are."""
        return self.waiting().filter(account=None)


class Transaction(Snapshot):
    """Only status completed is money that arrived and was processed; a refund does not change the status."""

    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="transactions"
    )
    settled_at = models.DateTimeField(null=True, help_text="When what was paid for was given.")
    held_up = models.CharField(max_length=300, blank=True, help_text="Why it could not be given yet.")
    customer_id = PaddleId(blank=True)
    subscription_id = PaddleId(blank=True)
    status = models.CharField(max_length=30)
    origin = models.CharField(max_length=50)
    currency = models.CharField(max_length=3)
    total = models.BigIntegerField(help_text="In minor units, with tax, before Paddle's money credit.")
    tax = models.BigIntegerField()
    grand_total = models.BigIntegerField(help_text="In minor units: what is charged.")
    line_items = models.JSONField(
        help_text="[{id, price_id, quantity, total, tax, prorated}], in minor units, as Paddle lists."
    )
    invoice_number = models.CharField(max_length=50, blank=True)
    period_starts_at = models.DateTimeField(null=True)
    period_ends_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    billed_at = models.DateTimeField(null=True)

    objects = TransactionQuerySet.as_manager()

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
            models.Index("account", F("created_at").desc(), name="transaction_account"),
            models.Index("account", name="transaction_waiting", condition=Q(status="completed", settled_at=None)),
        ]

    @property
    def lines(self) -> list[Line]:
        return [Line(**line) for line in self.line_items]

    @property
    def has_invoice(self) -> bool:
        """Paddle makes no PDF of what was free or is not completed."""
        return self.status == "completed" and self.total > 0

    @property
    def key(self) -> str:
        """The ledger's source key of what this payment gives."""
        return f"paddle:{self.id}"

    def key_of(self, line: Line) -> str:
        return f"{self.key}:{line.id}"


class WaitingPayment(Transaction):
    """A completed payment that gave nothing yet; the admin's view of it."""

    class Meta:
        proxy = True


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


class Purchase(models.Model):
    """A customer's wish to buy, stored before Paddle knows of it.

    Its id goes out as `custom_data.purchase_id`. The completed transaction says what was really paid for; this
    says whose that transaction is.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="purchases")
    price = models.ForeignKey(PlanPrice, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField(default=1)
    amount = models.PositiveIntegerField(help_text="What we asked for all of it, in minor units, before tax.")
    currency = models.CharField(max_length=3)
    token = models.UUIDField(help_text="Of the form it was asked with: the same form sent twice is one purchase.")
    transaction_id = PaddleId(blank=True, help_text="Empty until Paddle has answered.")
    asked_at = models.DateTimeField(null=True, help_text="When Paddle was last asked for the transaction.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["account", "token"], name="purchase_once_per_form"),
            models.UniqueConstraint(
                fields=["transaction_id"], condition=~Q(transaction_id=""), name="purchase_of_a_transaction"
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="purchase_of_something"),
        ]
        indexes = [
            models.Index("account", F("created_at").desc(), name="purchase_newest"),
            models.Index("created_at", name="purchase_created"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.price.get_interval_display()}"


class EventFeed(models.Model):
    """The place up to which Paddle's own list of events has been read (P5)."""

    name = models.CharField(max_length=20, primary_key=True)
    after = PaddleId(blank=True, help_text="The last event that was stored from it.")
    read_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} after {self.after or 'the beginning'}"
