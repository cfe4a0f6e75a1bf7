"""The figures above an account's form: plan, credits, subscription and last visit (O1)."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from billing import subscriptions
from billing.models import Subscription
from credits.reports.balance import current_balance
from sidekick import formatting
from sidekick.accounts.models import DeviceSession, User

# (label, figure, words beside the figure)
Fact = tuple[str, str, str]


def facts_about(account: User, request: HttpRequest) -> list[Fact]:
    """The facts that this operator may know."""
    facts: list[Fact] = []
    now = timezone.now()
    if request.user.has_perm("credits.view_creditperiod"):
        with current_balance(account.pk, now) as balance:
            ends = formatting.day(balance.ends_at)
            used = f"{formatting.credits(balance.used)} of {formatting.credits(balance.total)} used"
            facts.append(("Plan", balance.plan_name, f"{used}, until {ends}"))
            owed = f"owes {formatting.credits(balance.debt)}" if balance.debt else ""
            bought = f"{formatting.credits(balance.additional)} bought, {formatting.credits(balance.courtesy)} courtesy"
            facts.append(("Available", formatting.credits(balance.available), owed or bought))
    if request.user.has_perm("billing.view_subscription"):
        facts.append(_subscription(account))
    if request.user.has_perm("accounts.view_devicesession"):
        facts.append(_seen(account, now))
    return facts


def _subscription(account: User) -> Fact:
    newest = Subscription.objects.filter(account=account).order_by(F("started_at").desc(nulls_last=True)).first()
    if newest is None:
        return "Subscription", "None", "Never subscribed"
    words = subscriptions.WORDS.get(newest.status, newest.status)
    if newest.change_at:
        return "Subscription", words, f"{newest.change_action} on {formatting.day(newest.change_at)}"
    billed = f"next payment {formatting.day(newest.next_billed_at)}" if newest.next_billed_at else ""
    return "Subscription", words, billed


def _seen(account: User, now: datetime) -> Fact:
    sessions = DeviceSession.objects.filter(user=account)
    live = sessions.live(now).count()
    last = sessions.order_by("-last_seen").values_list("last_seen", flat=True).first()
    words = f"{live} live {'session' if live == 1 else 'sessions'}"
    return "Last seen", f"{formatting.day(last)}, {last:%H:%M}" if last else "Never", words
