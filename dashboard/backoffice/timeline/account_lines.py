"""Lines about the account itself: sign-up, sessions, feedback, emails, and what operators did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, TextField
from django.db.models.functions import Cast

from billing.models import Transaction, WaitingPayment
from dashboard.backoffice.timeline.lines import Line, Lines, link_to, newest
from feedback.models import ReportChange
from sidekick.accounts.models import DeviceSession, Letter, User


def joined(account: User, until: datetime, most: int) -> Lines:
    if account.date_joined <= until:
        yield Line(account.date_joined, "account", "Signed up", link=link_to(account), tone="good")


def deleted(account: User, until: datetime, most: int) -> Lines:
    if account.deleted_at and account.deleted_at <= until:
        yield Line(account.deleted_at, "account", "Deleted their account", link=link_to(account), tone="bad")


def second_factors(account: User, until: datetime, most: int) -> Lines:
    for factor in newest(Authenticator.objects.filter(user=account), "created_at", until, most):
        words = f"Second factor added: {factor.get_type_display()}"
        yield Line(factor.created_at, "account", words, link=link_to(factor))


def sessions_started(account: User, until: datetime, most: int) -> Lines:
    for session in newest(DeviceSession.objects.filter(user=account), "created_at", until, most):
        detail = " · ".join(filter(None, [session.ip, session.user_agent]))
        yield Line(session.created_at, "sessions", "Signed in", detail, link=link_to(session))


def sessions_ended(account: User, until: datetime, most: int) -> Lines:
    ended = DeviceSession.objects.filter(user=account, revoked_at__isnull=False)
    for session in newest(ended, "revoked_at", until, most):
        why = session.get_revoked_because_display()
        bad = session.revoked_because == DeviceSession.Ended.REUSE
        tone = "bad" if bad else "plain"
        yield Line(session.revoked_at, "sessions", f"Session over: {why}", link=link_to(session), tone=tone)


def feedback(account: User, until: datetime, most: int) -> Lines:
    changes = ReportChange.objects.filter(report__account=account).select_related("report", "by")
    for change in newest(changes, "created_at", until, most):
        if change.is_arrival:
            words = f"{change.report.get_kind_display()} reported: {change.report}"
        elif change.moved:
            words = f"{change.report.reference} is now {change.get_status_display().lower()}"
        else:
            words = f"{change.report.reference} was answered" if change.reply else f"{change.report.reference} noted"
        by = change.by.email if change.by else ""
        yield Line(change.created_at, "feedback", words, change.reason, by, link_to(change.report), "info")


def emails(account: User, until: datetime, most: int) -> Lines:
    stored = Letter.objects.filter(account=account).defer("text", "html")
    for email in newest(stored, "created_at", until, most):
        if email.sent_at:
            words, tone = f"Email: {email.subject}", "plain"
        else:
            words, tone = f"Email not sent yet: {email.subject}", "warn" if email.error else "plain"
        detail = " · ".join(filter(None, [email.template, email.error]))
        yield Line(email.created_at, "emails", words, detail, link=link_to(email), tone=tone)


def log_of_account(account: User, until: datetime, most: int) -> Lines:
    return _logged(User, [str(account.id)], until, most)


def log_of_sessions(account: User, until: datetime, most: int) -> Lines:
    own = DeviceSession.objects.filter(user=account).annotate(key=Cast("id", TextField())).values("key")
    return _logged(DeviceSession, own, until, most)


def log_of_payments(account: User, until: datetime, most: int) -> Lines:
    """Acts of operators on payments that waited for an owner."""
    own = Transaction.objects.filter(account=account).values("id")
    return _logged(WaitingPayment, own, until, most)


def _logged(table: type[Model], keys: Any, until: datetime, most: int) -> Lines:
    kind = ContentType.objects.get_for_model(table, for_concrete_model=False)
    entries = LogEntry.objects.filter(content_type=kind, object_id__in=keys).select_related("user")
    for entry in newest(entries, "action_time", until, most):
        words = entry.get_change_message()
        yield Line(entry.action_time, "operators", words, by=entry.user.email, link=link_to(entry), tone="info")
