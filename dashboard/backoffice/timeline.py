"""Everything that happened to one account, in one list, newest first (O2).

Each source answers at most one page of its own table by an index, and the pages are merged: the list costs the same
however much happened. Usage is one line a day, from the rollups.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import F, Model, QuerySet, Sum, TextField
from django.db.models.functions import Cast, JSONObject
from django.urls import reverse

from billing.models import Adjustment, PaddleEvent, Purchase, Subscription, Transaction, WaitingPayment
from billing.pages import money
from billing.pages.payment_history import NEVER_DUE
from credits.models import LedgerEntry, UsageRollup
from feedback.models import ReportChange
from sidekick import formatting
from sidekick.accounts.models import DeviceSession, Letter, User

PAGE_SIZE = 50
DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Happening:
    """One line. `at` is in UTC; `link` leads to the row in the admin, `by` is the email of the operator who did it."""

    at: datetime
    kind: str
    words: str
    detail: str = ""
    by: str = ""
    link: str = ""
    tone: str = "plain"
    whole_day: bool = False
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page begins: at `before`, after the `skip` lines of that very moment which were shown already."""

    before: datetime
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    happenings: list[Happening]
    next: Mark | None


Read = Callable[[User, datetime, int], Iterable[Happening]]


@dataclass(frozen=True, slots=True)
class Source:
    """`read(account, until, most)` answers lines of the time up to `until` inclusive, newest first; one query at most.

    Whoever lacks the permission doesn't see them.
    """

    kind: str
    permission: str
    read: Read


def of(account: User, mark: Mark, *, kinds: Sequence[str], may: Callable[[str], bool]) -> Page:
    """One page of the kinds asked for, as far as `may(permission)` says that they may be seen."""
    most = PAGE_SIZE + mark.skip + 1
    lists = [
        source.read(account, mark.before, most) for source in SOURCES if source.kind in kinds and may(source.permission)
    ]
    merged = heapq.merge(*lists, key=lambda happening: happening.at, reverse=True)
    found = list(islice(merged, mark.skip, mark.skip + PAGE_SIZE + 1))
    shown = found[:PAGE_SIZE]
    return Page(shown, _next(shown, mark) if len(found) > PAGE_SIZE else None)


def _next(shown: list[Happening], mark: Mark) -> Mark:
    last = shown[-1].at
    same = sum(happening.at == last for happening in shown)
    return Mark(last, same + mark.skip if last == mark.before else same)


def _newest(rows: QuerySet[Any], column: str, until: datetime, most: int) -> QuerySet[Any]:
    return rows.filter(**{f"{column}__lte": until}).order_by(f"-{column}", "-pk")[:most]


def _link(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)])


def _joined(account: User, until: datetime, most: int) -> Iterable[Happening]:
    if account.date_joined <= until:
        yield Happening(account.date_joined, "account", "Signed up", link=_link(account), tone="good")


def _deleted(account: User, until: datetime, most: int) -> Iterable[Happening]:
    if account.deleted_at and account.deleted_at <= until:
        yield Happening(account.deleted_at, "account", "Deleted their account", link=_link(account), tone="bad")


def _second_factors(account: User, until: datetime, most: int) -> Iterable[Happening]:
    for factor in _newest(Authenticator.objects.filter(user=account), "created_at", until, most):
        words = f"Second factor added: {factor.get_type_display()}"
        yield Happening(factor.created_at, "account", words, link=_link(factor))


def _sessions_started(account: User, until: datetime, most: int) -> Iterable[Happening]:
    for session in _newest(DeviceSession.objects.filter(user=account), "created_at", until, most):
        detail = " · ".join(filter(None, [session.ip, session.user_agent]))
        yield Happening(session.created_at, "sessions", "Signed in", detail, link=_link(session))


def _sessions_ended(account: User, until: datetime, most: int) -> Iterable[Happening]:
    ended = DeviceSession.objects.filter(user=account, revoked_at__isnull=False)
    for session in _newest(ended, "revoked_at", until, most):
        why = session.get_revoked_because_display()
        bad = session.revoked_because == DeviceSession.Ended.REUSE
        tone = "bad" if bad else "plain"
        yield Happening(session.revoked_at, "sessions", f"Session over: {why}", link=_link(session), tone=tone)


def _payments(account: User, until: datetime, most: int) -> Iterable[Happening]:
    asked = Transaction.objects.filter(account=account).exclude(status__in=NEVER_DUE).defer("data")
    for payment in _newest(asked, "created_at", until, most):
        words = f"Payment of {money.written(payment.grand_total, payment.currency)}: {payment.status}"
        tone = {"completed": "good", "past_due": "bad"}.get(payment.status, "info")
        detail = payment.held_up or f"{payment.id} · {payment.origin}"
        yield Happening(payment.created_at, "money", words, detail, link=_link(payment), tone=tone)


def _money_back(account: User, until: datetime, most: int) -> Iterable[Happening]:
    own = Transaction.objects.filter(account=account).values("id")
    for adjustment in _newest(
        Adjustment.objects.filter(transaction_id__in=own).defer("data"), "created_at", until, most
    ):
        action = adjustment.action.replace("_", " ").capitalize()
        words = f"{action} of {money.written(adjustment.total, adjustment.currency)}: {adjustment.status}"
        detail = f"{adjustment.id} of {adjustment.transaction_id}"
        yield Happening(adjustment.created_at, "money", words, detail, link=_link(adjustment), tone="warn")


def _subscriptions(account: User, until: datetime, most: int) -> Iterable[Happening]:
    """What Paddle told of the account's subscriptions, by when it was so."""
    own = Subscription.objects.filter(account=account).values("id")
    told = PaddleEvent.objects.filter(entity_id__in=own).defer("body")
    for event in _newest(told, "occurred_at", until, most):
        words = event.event_type.replace(".", " ").replace("_", " ").capitalize()
        tone = "bad" if event.state == PaddleEvent.State.FAILED else "plain"
        detail = f"{event.entity_id} · {event.state}"
        yield Happening(event.occurred_at, "money", words, detail, link=_link(event), tone=tone)


def _purchases(account: User, until: datetime, most: int) -> Iterable[Happening]:
    begun = Purchase.objects.filter(account=account).select_related("price__plan")
    for purchase in _newest(begun, "created_at", until, most):
        what = f"{purchase.price.plan.name}, {purchase}"
        words = f"Set out to buy {what} for {money.written(purchase.amount, purchase.currency)}"
        yield Happening(purchase.created_at, "money", words, purchase.transaction_id, link=_link(purchase))


def _ledger(account: User, until: datetime, most: int) -> Iterable[Happening]:
    entries = LedgerEntry.objects.filter(account=account).select_related("actor")
    for entry in _newest(entries, "created_at", until, most):
        sign = "+" if entry.amount > 0 else ""
        words = f"{entry.get_kind_display()}: {sign}{formatting.exact(entry.amount)} credits"
        by = entry.actor.email if entry.actor else ""
        tone = "good" if entry.amount > 0 else "warn"
        detail = entry.reason or entry.source_key
        yield Happening(entry.created_at, "credits", words, detail, by, _link(entry), tone)


def _usage(account: User, until: datetime, most: int) -> Iterable[Happening]:
    """One line a day of UTC, at its last instant, so that today stands on top."""
    days = UsageRollup.objects.filter(
        account=account.id, grain=UsageRollup.Grain.DAY, bucket__lte=until - DAY + INSTANT
    ).values("bucket")
    share = JSONObject(model="model__name", requests="requests", credits=Cast("credits", TextField()))
    sums = days.annotate(n=Sum("requests"), total=Sum("credits"), shares=ArrayAgg(share, order_by=F("credits").desc()))
    for day in sums.order_by("-bucket")[:most]:
        words = f"{day['n']:,} requests, {formatting.credits(day['total'])} credits"
        parts = tuple(f"{s['model']}: {s['requests']:,} requests, {s['credits']} credits" for s in day["shares"])
        at = day["bucket"] + DAY - INSTANT
        yield Happening(at, "usage", words, whole_day=True, parts=parts)


def _feedback(account: User, until: datetime, most: int) -> Iterable[Happening]:
    changes = ReportChange.objects.filter(report__account=account).select_related("report", "by")
    for change in _newest(changes, "created_at", until, most):
        if change.is_arrival:
            words = f"{change.report.get_kind_display()} reported: {change.report}"
        elif change.moved:
            words = f"{change.report.reference} is now {change.get_status_display().lower()}"
        else:
            words = f"{change.report.reference} was answered" if change.reply else f"{change.report.reference} noted"
        by = change.by.email if change.by else ""
        yield Happening(change.created_at, "feedback", words, change.reason, by, _link(change.report), "info")


def _letters(account: User, until: datetime, most: int) -> Iterable[Happening]:
    letters = Letter.objects.filter(account=account).defer("text", "html")
    for letter in _newest(letters, "created_at", until, most):
        if letter.sent_at:
            words, tone = f"Email: {letter.subject}", "plain"
        else:
            words, tone = f"Email not sent yet: {letter.subject}", "warn" if letter.error else "plain"
        detail = " · ".join(filter(None, [letter.template, letter.error]))
        yield Happening(letter.created_at, "letters", words, detail, link=_link(letter), tone=tone)


def _log_of_account(account: User, until: datetime, most: int) -> Iterable[Happening]:
    return _logged(User, [str(account.id)], until, most)


def _log_of_sessions(account: User, until: datetime, most: int) -> Iterable[Happening]:
    own = DeviceSession.objects.filter(user=account).annotate(key=Cast("id", TextField())).values("key")
    return _logged(DeviceSession, own, until, most)


def _log_of_payments(account: User, until: datetime, most: int) -> Iterable[Happening]:
    """What operators said of payments that waited."""
    own = Transaction.objects.filter(account=account).values("id")
    return _logged(WaitingPayment, own, until, most)


def _logged(table: type[Model], keys: Any, until: datetime, most: int) -> Iterable[Happening]:
    kind = ContentType.objects.get_for_model(table, for_concrete_model=False)
    entries = LogEntry.objects.filter(content_type=kind, object_id__in=keys).select_related("user")
    for entry in _newest(entries, "action_time", until, most):
        words = entry.get_change_message()
        yield Happening(entry.action_time, "operators", words, by=entry.user.email, link=_link(entry), tone="info")


SOURCES = (
    Source("account", "accounts.view_user", _joined),
    Source("account", "accounts.view_user", _deleted),
    Source("account", "mfa.view_authenticator", _second_factors),
    Source("sessions", "accounts.view_devicesession", _sessions_started),
    Source("sessions", "accounts.view_devicesession", _sessions_ended),
    Source("money", "billing.view_transaction", _payments),
    Source("money", "billing.view_adjustment", _money_back),
    Source("money", "billing.view_subscription", _subscriptions),
    Source("money", "billing.view_purchase", _purchases),
    Source("credits", "credits.view_ledgerentry", _ledger),
    Source("usage", "credits.view_usagerollup", _usage),
    Source("feedback", "feedback.view_report", _feedback),
    Source("letters", "accounts.view_letter", _letters),
    Source("operators", "admin.view_logentry", _log_of_account),
    Source("operators", "admin.view_logentry", _log_of_sessions),
    Source("operators", "admin.view_logentry", _log_of_payments),
)
KINDS = {
    "account": "Account",
    "sessions": "Sessions",
    "money": "Money",
    "credits": "Credits",
    "usage": "Usage",
    "feedback": "Feedback",
    "letters": "Emails",
    "operators": "Operators",
}


def mark_of(before: str, skip: str, now: datetime) -> Mark:
    """The mark in an address; the newest page where it is none. Today's usage stands at the end of today."""
    newest = Mark(now + DAY)
    try:
        moment = datetime.fromisoformat(before)
        # Far from the ends of the calendar, where a day more or less is an error.
        usual = moment.tzinfo is not None and 1970 <= moment.year < 9999
    except ValueError:
        return newest
    if not usual or not skip.isascii() or not skip.isdecimal() or len(skip) > 4:
        return newest
    return Mark(moment.astimezone(UTC), int(skip))
