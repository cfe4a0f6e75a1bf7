"""One row of every table that operators see, as many times as asked, each of an account of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from billing.models import (
    Adjustment,
    Customer,
    EventFeed,
    PaddleEvent,
    PlanPrice,
    Purchase,
    Subscription,
    Transaction,
)
from credits.models import AIModel, CreditPeriod, Grant, Hold, LedgerEntry, Plan, Wallet
from feedback.models import Report, ReportChange
from sidekick.accounts.models import DeviceSession, Letter, ServiceKey, User
from tests.conftest import make_user

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
Make = Callable[[int, User], Any]


def paddle(prefix: str, number: int) -> str:
    return f"{prefix}_01k{number:023}"


def snapshot(number: int) -> dict[str, Any]:
    return {"snapshot_at": NOW, "snapshot_event": paddle("evt", number), "data": {"custom_data": None}}


def period(number: int, account: User) -> CreditPeriod:
    ends = NOW + timedelta(days=30)
    return CreditPeriod.objects.create(
        account=account, plan_id="free", allocation=50, starts_at=NOW, ends_at=ends, anchor=NOW
    )


def grant(number: int, account: User) -> Grant:
    key = f"gift {number}"
    return Grant.objects.create(account=account, kind=Grant.Kind.COURTESY, amount=5, remaining=5, source_key=key)


def hold(number: int, account: User) -> Hold:
    fields = {"model": AIModel.objects.first(), "input_tokens": 1, "max_output_tokens": 1, "amount": 1}
    moments = {"created_at": NOW, "expires_at": NOW + timedelta(minutes=15)}
    return Hold.objects.create(account=account, request_id=f"req_{number}", **fields, **moments)


def ledger_entry(number: int, account: User) -> LedgerEntry:
    given = grant(number, account)
    return LedgerEntry.objects.create(
        account=account, kind="courtesy", amount=5, grant=given, source_key=given.source_key, actor=account
    )


def payment(number: int, account: User | None, **changes: Any) -> Transaction:
    fields: dict[str, Any] = {
        "id": paddle("txn", number),
        "customer_id": paddle("ctm", number),
        "status": "completed",
        "origin": "web",
        "currency": "USD",
        "total": 1500,
        "tax": 0,
        "grand_total": 1500,
        "line_items": [],
        "created_at": NOW,
        **snapshot(number),
        **changes,
    }
    return Transaction.objects.create(account=account, **fields)


def subscription(number: int, account: User) -> Subscription:
    fields = {"customer_id": paddle("ctm", number), "status": "active", "price_id": "pri_1", "currency": "USD"}
    return Subscription.objects.create(id=paddle("sub", number), account=account, **fields, **snapshot(number))


def adjustment(number: int, account: User) -> Adjustment:
    fields = {"action": "refund", "status": "approved", "currency": "USD", "total": 500, "items": []}
    return Adjustment.objects.create(
        id=paddle("adj", number),
        transaction_id=paddle("txn", number),
        customer_id=paddle("ctm", number),
        created_at=NOW,
        **fields,
        **snapshot(number),
    )


def paddle_event(number: int, account: User) -> PaddleEvent:
    return PaddleEvent.objects.create(
        event_id=paddle("evt", number),
        event_type="subscription.updated",
        entity_id=paddle("sub", number),
        occurred_at=NOW,
        body="{}",
    )


def purchase(number: int, account: User) -> Purchase:
    price = PlanPrice.objects.get(plan="pro", interval="credit")
    return Purchase.objects.create(
        account=account, price=price, quantity=20, amount=200, currency="USD", token=uuid.uuid4()
    )


def report(number: int, account: User) -> Report:
    made = Report(account=account, account_email=account.email, kind="bug", title=f"Fault {number}", priority="low")
    made.description = "It broke."
    made.seal(uuid.uuid4())
    made.save()
    ReportChange.objects.create(report=made, status="new")
    return made


def log_entry(number: int, account: User) -> LogEntry:
    return LogEntry.objects.create(
        user=account,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(account.id),
        object_repr=account.email,
        action_flag=2,
        change_message="Suspend: why not.",
    )


def job(number: int, account: User) -> Any:
    """The worker's own table is written by its functions only."""
    from procrastinate.contrib.django.models import ProcrastinateJob

    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_jobs (task_name, queue_name) VALUES ('a', 'b') RETURNING id")
        return ProcrastinateJob.objects.get(id=cursor.fetchone()[0])


MAKERS: dict[str, Make] = {
    "accounts.User": lambda number, account: account,
    "accounts.DeviceSession": lambda number, account: DeviceSession.objects.create(
        user=account, current_jti=uuid.uuid4()
    ),
    "accounts.Letter": lambda number, account: Letter.objects.create(account=account, to=account.email, subject="Hi"),
    "accounts.ServiceKey": lambda number, account: ServiceKey.objects.issue(f"key {number}", scopes=[])[0],
    "account.EmailAddress": lambda number, account: EmailAddress.objects.get(user=account),
    "socialaccount.SocialAccount": lambda number, account: SocialAccount.objects.create(
        user=account, provider="google", uid=str(number)
    ),
    "mfa.Authenticator": lambda number, account: Authenticator.objects.create(
        user=account, type="totp", data={"secret": "do-not-show"}
    ),
    "auth.Group": lambda number, account: Group.objects.create(name=f"Group {number}"),
    "admin.LogEntry": log_entry,
    "procrastinate.ProcrastinateJob": job,
    "credits.Plan": lambda number, account: Plan.objects.create(
        slug=f"plan-{number}", name="Plan", position=9, monthly_credits=Decimal(1)
    ),
    "credits.Hold": hold,
    "credits.Wallet": lambda number, account: Wallet.objects.create(account=account),
    "credits.CreditPeriod": period,
    "credits.Grant": grant,
    "credits.LedgerEntry": ledger_entry,
    "credits.AIModel": lambda number, account: AIModel.objects.create(name=f"model-{number}"),
    "billing.PlanPrice": lambda number, account: PlanPrice.objects.create(
        plan_id="pro", interval="month", amount=1, currency=f"X{number:02}"
    ),
    "billing.PaddleEvent": paddle_event,
    "billing.Customer": lambda number, account: Customer.objects.create(
        id=paddle("ctm", number), account=account, email=account.email, status="active", **snapshot(number)
    ),
    "billing.Subscription": subscription,
    "billing.Transaction": payment,
    "billing.WaitingPayment": payment,
    "billing.Adjustment": adjustment,
    "billing.Purchase": purchase,
    "billing.EventFeed": lambda number, account: EventFeed.objects.create(name=f"feed {number}"),
    "feedback.Report": report,
}


def make(label: str, count: int, first: int = 1) -> list[Any]:
    """`count` rows of a table, by its label."""
    numbers = range(first, first + count)
    return [MAKERS[label](number, make_user(f"{label.lower()}-{number}@example.com")) for number in numbers]
