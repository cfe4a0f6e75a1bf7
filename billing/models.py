"""What things cost. Money is whole minor units (cents) with a currency."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

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
