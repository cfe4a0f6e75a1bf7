"""Reports of customers, their images, their history, and the events for the team's webhook."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from feedback import kinds

if TYPE_CHECKING:
    from sidekick.accounts.models import User

TITLE_LENGTH = 120
TEXT_LENGTH = 5_000


class ReportQuerySet(models.QuerySet["Report"]):
    def same_as(self, report: Report, *, since: datetime) -> ReportQuerySet:
        """Reports that this one would only repeat: sent from the same form, or with the same words since then."""
        again = Q(kind=report.kind, digest=report.digest, created_at__gt=since)
        return self.filter(Q(token=report.token) | again, account=report.account)


class Report(models.Model):
    """A bug or a wish of one account. Customers and the team name it by its reference, such as BUG-1042."""

    Kind: TypeAlias = kinds.Kind

    class Priority(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    class Status(models.TextChoices):
        NEW = "new"
        TRIAGED = "triaged"
        PLANNED = "planned"
        IN_PROGRESS = "in_progress", "In progress"
        DONE = "done"
        DECLINED = "declined"

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    # The index `report_newest` starts with the account, so the column needs none of its own; likewise below.
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reports", db_index=False
    )
    account_email = models.EmailField(help_text="The account's address when it was sent.")
    kind = models.CharField(max_length=10, choices=Kind)
    title = models.CharField(max_length=TITLE_LENGTH)
    description = models.TextField(max_length=TEXT_LENGTH)
    priority = models.CharField(max_length=10, choices=Priority)
    page = models.CharField(max_length=200, blank=True, help_text="The page of the dashboard they came from.")
    browser = models.CharField(max_length=300, blank=True, help_text="What the browser calls itself.")
    app_version = models.CharField(max_length=40, blank=True, help_text="Of the Sidekick app, as the customer said.")
    token = models.UUIDField(editable=False, help_text="Of the form and what was typed: sent again it is no other.")
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of title and description.")
    status = models.CharField(max_length=20, choices=Status, default=Status.NEW)
    reply = models.TextField(max_length=TEXT_LENGTH, blank=True, help_text="The customer reads this.")
    note = models.TextField(max_length=TEXT_LENGTH, blank=True, help_text="Only operators read this.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["account", "token"], name="report_once_per_form"),
            models.CheckConstraint(name="report_says_something", condition=~Q(title="") & ~Q(description="")),
        ]
        indexes = [
            models.Index("account", F("created_at").desc(), F("number").desc(), name="report_newest"),
            models.Index("status", F("created_at").desc(), name="report_status"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("feedback:report", args=[self.id])

    @property
    def reference(self) -> str:
        return f"{self.wording.prefix}-{self.number}"

    @property
    def wording(self) -> kinds.Wording:
        return Report.Kind(self.kind).wording

    def seal(self, form_token: uuid.UUID) -> None:
        """Set `digest` and `token`, by which a repetition is recognised. Changed words make it another report."""
        words = "\0".join([self.kind, self.title, self.description])
        self.digest = hashlib.sha256(words.encode()).hexdigest()
        self.token = uuid.uuid5(form_token, self.digest)


class ReportImageQuerySet(models.QuerySet["ReportImage"]):
    def visible_to(self, user: User | AnonymousUser) -> ReportImageQuerySet:
        """An account's own images; to operators also those of every report that was sent."""
        if not user.is_authenticated:
            return self.none()
        seen = Q(account=user)
        if user.is_staff and (user.has_perm("feedback.view_report") or user.has_perm("feedback.change_report")):
            seen |= Q(report__isnull=False)
        return self.filter(seen)

    def kept(self, account: User, form_token: uuid.UUID) -> ReportImageQuerySet:
        """Images of a form that was refused and is still open."""
        return self.filter(account=account, form_token=form_token, report=None)

    def abandoned(self, now: datetime) -> ReportImageQuerySet:
        """Images of forms that were never sent."""
        return self.filter(report=None, created_at__lt=now - KEPT_FOR)


class ReportImage(models.Model):
    """A checked image without metadata. It has no report while its form waits for the next try.

    Its content is in the database: the web tier keeps no files, and one backup holds a report with its images.
    """

    number = models.BigAutoField(primary_key=True)
    id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    report = models.ForeignKey(Report, null=True, on_delete=models.CASCADE, related_name="images")
    form_token = models.UUIDField(help_text="Of the form it was chosen in.")
    name = models.CharField(max_length=100, help_text="What the customer's file was called.")
    content = models.BinaryField()
    media_type = models.CharField(max_length=20)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField(help_text="In bytes.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = ReportImageQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                name="report_image_of_a_known_type",
                condition=Q(media_type__in=["image/png", "image/jpeg", "image/webp"]),
            ),
        ]
        indexes = [
            models.Index("account", "form_token", name="report_image_kept", condition=Q(report=None)),
            models.Index("created_at", name="report_image_abandoned", condition=Q(report=None)),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("feedback:image", args=[self.id])


# A form with an error may stay open for so long before its images are deleted.
KEPT_FOR = timedelta(days=1)


class ReportChange(models.Model):
    """A step in a report's history. A database trigger refuses to change a row.

    The first row of a report is its arrival, and has no operator and no reason.
    """

    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="changes", db_index=False)
    status = models.CharField(max_length=20, choices=Report.Status, help_text="From then on.")
    was = models.CharField(max_length=20, choices=Report.Status, blank=True, help_text="Until then.")
    reply = models.TextField(blank=True, help_text="What the customer was told then, if anything new.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True, help_text="Why, for operators.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                name="report_change_for_a_reason", condition=Q(by=None, was="") | (Q(by__isnull=False) & ~Q(reason=""))
            ),
        ]
        indexes = [models.Index("report", "id", name="report_change_newest")]

    def __str__(self) -> str:
        return f"{self.get_status_display()}, {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def moved(self) -> bool:
        return self.was != self.status

    @property
    def is_arrival(self) -> bool:
        return not self.was


class Delivery(models.Model):
    """A change to be posted to the team's webhook, and the state of that (F6)."""

    change = models.OneToOneField(ReportChange, primary_key=True, on_delete=models.CASCADE, related_name="delivery")
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="deliveries")
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True, help_text="Why the last attempt failed.")

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-change_id"]
        indexes = [models.Index("report", name="report_undelivered", condition=Q(delivered_at=None))]

    def __str__(self) -> str:
        return f"{self.change_id}: {'delivered' if self.delivered_at else self.error or 'waits'}"
