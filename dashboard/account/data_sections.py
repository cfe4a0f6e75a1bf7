"""The sections of the file that holds everything about an account: which rows and columns each of them has (A10)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, JSONObject

from billing.models import Adjustment, Customer, Purchase, Subscription, Transaction
from credits.models import CreditPeriod, Grant, LedgerEntry, UsageEvent
from feedback.models import Report, ReportImage
from sidekick.accounts.models import DeviceSession, Letter, User

Rows = QuerySet[Any, Any]


def sections(account: User) -> Iterator[tuple[str, Rows]]:
    """(name, rows) of each section. Rows are dictionaries, but those of `UsageEvent` are (request id, JSON)."""
    yield from _of_the_person(account)
    yield from _of_credits(account)
    yield from _of_payments(account)
    yield from _of_feedback(account)


def _of_the_person(account: User) -> Iterator[tuple[str, Rows]]:
    mine = {"user": account}
    whole = User.objects.filter(id=account.id)
    yield "account", _rows(whole, "id email name time_zone balance_emails date_joined last_login")
    yield "email_addresses", _rows(EmailAddress.objects.filter(**mine), "email verified primary")
    # Never a factor's secret: whoever finds the file could sign in with it.
    factors = Authenticator.objects.filter(**mine)
    yield "second_factors", _rows(factors, "type data__name created_at last_used_at")
    connected = SocialAccount.objects.filter(**mine)
    yield "connected_accounts", _rows(connected, "provider uid extra_data date_joined last_login")
    sessions = DeviceSession.objects.filter(**mine).order_by("created_at")
    yield "sessions", _rows(sessions, "id ip user_agent created_at last_seen revoked_at revoked_because")
    sent = Letter.objects.filter(account=account).order_by("created_at")
    yield "emails", _rows(sent, "template to subject created_at sent_at")


def _of_credits(account: User) -> Iterator[tuple[str, Rows]]:
    mine = {"account": account}
    periods = CreditPeriod.objects.filter(**mine).order_by("starts_at")
    figures = "allocation rollover used plan_used additional_used courtesy_used"
    yield "credit_periods", _rows(periods, f"id plan {figures} starts_at ends_at closed_at")
    grants = Grant.objects.filter(**mine).order_by("created_at", "id")
    yield "grants", _rows(grants, "id kind amount remaining withdrawn period expires_at source_key created_at")
    ledger = LedgerEntry.objects.filter(**mine).order_by("created_at", "id")
    yield "ledger", _rows(ledger, "kind amount grant period source_key reason created_at")
    yield "requests", _requests(account.id)


def _of_payments(account: User) -> Iterator[tuple[str, Rows]]:
    mine = {"account": account}
    yield "paddle_customers", _rows(Customer.objects.filter(**mine), "id email status")
    subscriptions = Subscription.objects.filter(**mine).order_by("started_at")
    dates = "started_at paused_at canceled_at period_starts_at period_ends_at next_billed_at"
    yield "subscriptions", _rows(subscriptions, f"id status price_id currency {dates}")
    purchases = Purchase.objects.filter(**mine).order_by("created_at")
    yield "purchases", _rows(purchases, "id price__plan price__interval quantity amount currency created_at")
    payments = Transaction.objects.filter(**mine).order_by("created_at")
    money = "currency total tax grand_total line_items"
    yield "payments", _rows(payments, f"id status subscription_id {money} invoice_number created_at billed_at")
    refunds = Adjustment.objects.filter(transaction_id__in=payments.values("id")).order_by("created_at")
    yield "refunds", _rows(refunds, "id transaction_id action status currency total created_at")


def _of_feedback(account: User) -> Iterator[tuple[str, Rows]]:
    reports = Report.objects.filter(account=account).order_by("created_at")
    typed = "title description priority page browser app_version"
    yield "reports", _rows(reports, f"id kind account_email {typed} status reply created_at changed_at")
    images = ReportImage.objects.filter(account=account).order_by("created_at")
    yield "report_images", _rows(images, "id report__id name media_type width height size created_at")


def _rows(rows: Rows, columns: str) -> Rows:
    return rows.values(*columns.split())


def _requests(account_id: uuid.UUID) -> Rows:
    # PostgreSQL writes the JSON: an account may have made millions of requests.
    figures = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    line = JSONObject(
        request_id="request_id",
        occurred_at="occurred_at",
        model="model__name",
        **{name: name for name in figures},
        credits=Cast("credits", TextField()),
    )
    events = UsageEvent.objects.filter(account=account_id).order_by("request_id")
    return events.annotate(line=Cast(line, TextField())).values_list("request_id", "line")
