"""Everything we hold about an account, as one JSON file for its owner (A10).

The file is finished before its first byte leaves: it is complete or there is none. Memory stays the same at any number
of requests; what doesn't fit goes to a temporary file.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, JSONObject
from django.utils import timezone

from billing.models import Adjustment, Customer, Purchase, Subscription, Transaction
from credits.models import CreditPeriod, Grant, LedgerEntry, UsageEvent
from credits.reports.snapshot import snapshot
from feedback.models import Report, ReportImage
from sidekick.accounts.models import DeviceSession, Letter, User

IN_MEMORY = 4 * 1024 * 1024
AT_A_TIME = 5_000

# What is to be written, or finished JSON.
Row = dict[str, Any] | str
Rows = QuerySet[Any, Any]


def written(account: User) -> IO[bytes]:
    """The file, open at its beginning; whoever gets it closes it. All of it is as of one moment.

    An object of lists, one row a line. Credits are decimal strings, money minor units, times RFC 3339 in UTC.
    """
    file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    with snapshot():
        for piece in _pieces(account):
            file.write(piece.encode())
    file.seek(0)
    return file


def _pieces(account: User) -> Iterator[str]:
    yield f'{{"written_at": {_json(timezone.now())}'
    for name, rows in _sections(account):
        yield f',\n"{name}": ['
        comma = ""
        for row in _read(rows):
            yield f"{comma}\n{row if isinstance(row, str) else _json(row)}"
            comma = ","
        yield "]"
    yield "}\n"


def _sections(account: User) -> Iterator[tuple[str, Rows]]:
    yield from _of_the_person(account)
    yield from _of_credits(account)
    yield from _of_payments(account)
    yield from _of_feedback(account)


def _of_the_person(account: User) -> Iterator[tuple[str, Rows]]:
    mine = {"user": account}
    whole = User.objects.filter(id=account.id)
    yield "account", _rows(whole, "id email name time_zone balance_emails date_joined last_login")
    yield "email_addresses", _rows(EmailAddress.objects.filter(**mine), "email verified primary")
    # What a second factor is, never what would let someone else use it.
    factors = Authenticator.objects.filter(**mine)
    yield "second_factors", _rows(factors, "type data__name created_at last_used_at")
    connected = SocialAccount.objects.filter(**mine)
    yield "connected_accounts", _rows(connected, "provider uid extra_data date_joined last_login")
    sessions = DeviceSession.objects.filter(**mine).order_by("created_at")
    yield "sessions", _rows(sessions, "id ip user_agent created_at last_seen revoked_at revoked_because")
    letters = Letter.objects.filter(account=account).order_by("created_at")
    yield "emails", _rows(letters, "template to subject created_at sent_at")


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
    written = "title description priority page browser app_version"
    yield "reports", _rows(reports, f"id kind account_email {written} status reply created_at changed_at")
    images = ReportImage.objects.filter(account=account).order_by("created_at")
    yield "report_images", _rows(images, "id report__id name media_type width height size created_at")


def _rows(rows: Rows, columns: str) -> Rows:
    return rows.values(*columns.split())


def _requests(account_id: uuid.UUID) -> Rows:
    """Each as a line that PostgreSQL has written: an account may have made millions."""
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


def _read(rows: Rows) -> Iterator[Row]:
    if rows.model is not UsageEvent:
        yield from rows.iterator(chunk_size=AT_A_TIME)
        return
    # A lot at a time, along the primary key.
    lot = list(rows[:AT_A_TIME])
    while lot:
        yield from (line for _, line in lot)
        lot = list(rows.filter(request_id__gt=lot[-1][0])[:AT_A_TIME])


def _json(value: object) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(type(value))
