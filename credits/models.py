"""The tables of the ledger and of metered usage. Balances are never reset: grants are added, drawn, voided and closed.

Usage tables carry their account in every key and have neither foreign keys nor triggers, so that they can be
distributed by account (`usage.citus`).
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.functional import cached_property

from credits.ledger.entries import LedgerQuerySet

MICRO = Decimal("0.000001")  # The smallest amount of credits.


class CreditField(models.DecimalField):  # type: ignore[type-arg]
    """An exact amount of credits: 20 digits, 6 of them decimals (M6)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.update(max_digits=20, decimal_places=6)
        super().__init__(*args, **kwargs)


class Plan(models.Model):
    """A plan and what it allows; its prices are in `billing` (`PlanPrice`)."""

    FREE = "free"  # The slug of the plan that every account falls back to.

    slug = models.SlugField(primary_key=True)
    name = models.CharField(max_length=50)
    position = models.PositiveSmallIntegerField(help_text="Order on the pricing page.")
    monthly_credits = CreditField()
    rollover_percent = models.PositiveSmallIntegerField(
        default=100, help_text="Unused allocation that lives one more period, in percent of the allocation."
    )
    may_buy_credits = models.BooleanField(default=False)

    class Meta:
        ordering = ["position"]
        constraints = [models.CheckConstraint(condition=Q(monthly_credits__gte=0), name="plan_credits_not_negative")]

    def __str__(self) -> str:
        return self.name

    def is_larger_than(self, other: Plan) -> bool:
        """Returns whether a month of this plan costs more. Only where it costs the same do credits decide."""
        if self == other:
            return False
        return (self.monthly_amount, self.monthly_credits) > (other.monthly_amount, other.monthly_credits)

    @cached_property
    def monthly_amount(self) -> int:
        """Returns the price of a month in minor units; of a plan sold by the year alone, a twelfth of its year.

        It is 0 where neither costs anything. Costs one query, the first time.
        """
        # `billing` owns the prices and imports this app, so they are reached by their relation alone.
        amounts = {price.interval: price.amount for price in self.prices.of_plans()}
        return amounts.get("month", 0) or amounts.get("year", 0) // 12


class Wallet(models.Model):
    """An account's lock and running figures. Every writer of credits locks it first (`ledger.locking.locked`)."""

    account = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True)
    held = CreditField(default=Decimal(0), help_text="Reserved by holds.")
    debt = CreditField(default=Decimal(0), help_text="Used beyond what was there; the next grant pays it first.")
    due_at = models.DateTimeField(
        null=True, help_text="When the clock must next open a period, or lapse a grant or a hold; null: never."
    )
    # `db_default`: new wallets are inserted by SQL (`ledger.locking`).
    touched = models.BooleanField(
        default=False, db_default=False, help_text="Used lately, and not yet looked at for a low balance."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(held__gte=0), name="wallet_held_not_negative"),
            models.CheckConstraint(condition=Q(debt__gte=0), name="wallet_debt_not_negative"),
        ]
        indexes = [
            models.Index("due_at", name="wallet_due", condition=Q(due_at__isnull=False)),
            models.Index("account", name="wallet_touched", condition=Q(touched=True)),
        ]

    def __str__(self) -> str:
        return str(self.account_id)


class CreditPeriod(models.Model):
    """One period of one account. It ends when its successor opens, which may be later than `ends_at` (M7).

    `used` is the usage that *occurred* in the period, whenever it was reported. `plan_used`, `additional_used` and
    `courtesy_used` are the credits *drawn* from grants while it was open. Usage reported late and debt repaid make
    the two differ, and the cards show the difference as a line of its own.
    """

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="credit_periods")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    allocation = CreditField()
    rollover = CreditField(default=Decimal(0))
    used = CreditField(default=Decimal(0))
    # These three are drawn while the period is open; `used` above occurred in it.
    plan_used = CreditField(default=Decimal(0))
    additional_used = CreditField(
        default=Decimal(0), help_text="Falls below zero when credits spent in an earlier period are taken back."
    )
    courtesy_used = CreditField(default=Decimal(0))
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    anchor = models.DateTimeField(help_text="Months are counted from here, so that the 31st survives February.")
    paid_until = models.DateTimeField(null=True, help_text="The clock opens months up to here; null: for ever (Free).")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "starts_at"], name="period_once_per_start"),
            models.UniqueConstraint(fields=["account"], condition=Q(closed_at=None), name="period_one_open"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="period_ends_after_start"),
            models.CheckConstraint(
                condition=Q(used__gte=0, plan_used__gte=0, allocation__gte=0, rollover__gte=0),
                name="period_figures_not_negative",
            ),
        ]
        indexes = [models.Index("ends_at", name="period_ending", condition=Q(closed_at=None))]

    def __str__(self) -> str:
        return f"{self.plan_id} from {self.starts_at:%Y-%m-%d}"


class Grant(models.Model):
    """Credits given once, and what is left of them."""

    class Kind(models.IntegerChoices):
        """The values are the order of spending (M3)."""

        COURTESY = 0
        ROLLOVER = 1
        ALLOCATION = 2
        PURCHASED = 3

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grants")
    kind = models.PositiveSmallIntegerField(choices=Kind.choices)
    period = models.ForeignKey(CreditPeriod, null=True, on_delete=models.PROTECT, related_name="grants")
    amount = CreditField()
    remaining = CreditField()
    withdrawn = CreditField(default=Decimal(0), help_text="Voided, forfeited or rolled over; the rest was drawn.")
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never. Bought credits never expire.")
    source_key = models.CharField(max_length=200, help_text="What it was given for; the same key never grants twice.")
    created_at = models.DateTimeField(default=timezone.now)

    # A plan gives these; they end with their period.
    PLAN_KINDS = (Kind.ROLLOVER, Kind.ALLOCATION)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "source_key"], name="grant_once_per_source"),
            models.CheckConstraint(
                condition=Q(amount__gt=0, remaining__gte=0, withdrawn__gte=0), name="grant_positive"
            ),
            models.CheckConstraint(
                condition=Q(remaining__lte=F("amount") - F("withdrawn")), name="grant_remaining_within_amount"
            ),
            # `Kind` is out of reach in here: 1 and 2 are the plan's kinds, 3 is purchased.
            models.CheckConstraint(condition=Q(period=None) ^ Q(kind__in=[1, 2]), name="grant_of_a_plan_has_a_period"),
            models.CheckConstraint(condition=Q(expires_at=None) | ~Q(kind=3), name="grant_purchased_never_expires"),
        ]
        indexes = [
            models.Index(
                "account",
                "kind",
                F("expires_at").asc(nulls_last=True),
                "created_at",
                "id",
                name="grant_order_of_spending",
                condition=Q(remaining__gt=0),
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} {self.get_kind_display().lower()}"


class LedgerEntry(models.Model):
    """One change of a balance other than usage. Append-only: a trigger refuses to change or delete a row."""

    class Kind(models.TextChoices):
        ALLOCATION = "allocation"
        ROLLOVER = "rollover", "Rolled over"
        COURTESY = "courtesy"
        PURCHASED = "purchased", "Bought"
        ROLLED_OUT = "rolled_out", "Moved to the next period"
        FORFEITED = "forfeited"
        VOIDED = "voided", "Taken back"
        RESTORED = "restored"

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ledger_entries")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    amount = CreditField(help_text="Added to the balance; negative when taken.")
    grant = models.ForeignKey(Grant, null=True, on_delete=models.PROTECT, related_name="ledger_entries")
    period = models.ForeignKey(CreditPeriod, null=True, on_delete=models.PROTECT, related_name="ledger_entries")
    source_key = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = LedgerQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            # A grant and the line that forfeits it share their key.
            models.UniqueConstraint(fields=["account", "kind", "source_key"], name="entry_once_per_source"),
        ]
        indexes = [models.Index("account", F("created_at").desc(), name="entry_newest_first")]

    def __str__(self) -> str:
        return f"{self.amount.normalize():+f} {self.get_kind_display().lower()}"


class AIModel(models.Model):
    """A model that requests may name."""

    name = models.CharField(max_length=100, unique=True, help_text="As requests name it; never change it.")

    class Meta:
        verbose_name = "AI model"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ModelPrice(models.Model):
    """One version of a model's price, in credits per million tokens, until the next version begins (M1).

    A version has no end of its own, so versions can't overlap, and a trigger refuses to change or delete one.
    """

    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="prices")
    valid_from = models.DateTimeField()
    input = CreditField()
    output = CreditField()
    cache_read = CreditField()
    cache_write = CreditField()

    class Meta:
        ordering = ["model", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["model", "valid_from"], name="price_once_per_start"),
            models.CheckConstraint(
                condition=Q(input__gte=0, output__gte=0, cache_read__gte=0, cache_write__gte=0),
                name="price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.valid_from:%Y-%m-%d}"

    def clean(self) -> None:
        """Refuse a version that begins in the past: it would price late requests unlike those recorded on time."""
        earlier = ModelPrice.objects.filter(model_id=self.model_id) if self.model_id else ModelPrice.objects.none()
        if self.valid_from and self.valid_from < timezone.now() and earlier.exists():
            raise ValidationError({"valid_from": "A new version of a price must start in the future."})


class Hold(models.Model):
    """Credits promised to one AI request before it is made (M4). `Wallet.held` is the sum of those that are open.

    Usage that names the hold settles it, and a failed call releases it. A hold that nobody ends lapses.
    """

    class State(models.TextChoices):
        OPEN = "open"
        SETTLED = "settled"
        RELEASED = "released"
        LAPSED = "lapsed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    request_id = models.CharField(max_length=128, db_collation="C")
    # Checked by the audit, not by the database: the price book may lie on every machine while holds lie on one.
    model = models.ForeignKey(AIModel, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    input_tokens = models.IntegerField()
    max_output_tokens = models.IntegerField()
    amount = CreditField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("account", "request_id", name="hold_once_per_request"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="hold_not_negative"),
            models.CheckConstraint(
                condition=Q(state="open", ended_at=None) | (~Q(state="open") & Q(ended_at__isnull=False)),
                name="hold_is_open_or_has_ended",
            ),
        ]
        indexes = [
            models.Index("account", "expires_at", name="hold_open", condition=Q(state="open")),
            models.Index("ended_at", name="hold_ended", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}: {self.amount} {self.state}"


class UsageEvent(models.Model):
    """One AI request."""

    # The columns stand in the order that wastes no byte to alignment.
    pk = models.CompositePrimaryKey("account", "request_id")
    occurred_at = models.DateTimeField()
    account = models.UUIDField(db_column="account_id")
    model = models.ForeignKey(AIModel, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    input_tokens = models.IntegerField()
    output_tokens = models.IntegerField()
    cache_read_tokens = models.IntegerField()
    cache_write_tokens = models.IntegerField()
    request_id = models.CharField(max_length=128, db_collation="C")
    credits = CreditField()

    class Meta:
        # Pages go through requests by this index alone, whatever their number (C3).
        indexes = [models.Index("account", F("occurred_at").desc(), F("request_id").desc(), name="usage_newest_first")]

    def __str__(self) -> str:
        return self.request_id


class UsageRollup(models.Model):
    """Sums of one account and model over a quarter of an hour, or over a day, of UTC.

    Days of every time zone on earth are made of such quarters; the rows of days keep long ranges and far pages cheap.
    """

    class Grain(models.IntegerChoices):
        """In minutes."""

        QUARTER = 15
        DAY = 1440

    pk = models.CompositePrimaryKey("account", "grain", "bucket", "model_id")
    bucket = models.DateTimeField()
    account = models.UUIDField(db_column="account_id")
    model = models.ForeignKey(AIModel, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    grain = models.SmallIntegerField(choices=Grain.choices)
    requests = models.IntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    credits = CreditField()

    def __str__(self) -> str:
        return f"{self.bucket:%Y-%m-%d %H:%M} {self.model_id}"
