"""Deleting one's account: what it means in words, and doing it (A10).

Paddle is told first: an account that is gone must not be charged. Then, in one transaction, everything that tells who
the person was goes; what accounting must keep (payments, ledger, what was used) stays under an id that leads to nobody.
Broken off in between, the plan is over and the account still there: deleting it again finishes what was begun.
"""

from __future__ import annotations

import logging
from datetime import datetime
from zoneinfo import ZoneInfo

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from billing import checkout, subscriptions
from billing.models import Customer, PaddleEvent, Transaction
from billing.subscriptions import SubscriptionState
from credits.reports import usage
from feedback.models import Report, ReportImage
from sidekick import formatting
from sidekick.accounts import emails
from sidekick.accounts.models import DeviceSession, Letter, User

logger = logging.getLogger(__name__)


def why_not(account: User) -> str:
    """Why this account can't be deleted by its owner, in a sentence, or nothing."""
    if account.is_staff:
        return "This is an operator’s account: operator rights have to be taken from it first."
    if checkout.plan_is_on_its_way(account):
        # Its subscription would come when the account is gone, and charge for ever.
        return subscriptions.PROCESSING
    return ""


def words(account: User) -> dict[str, list[str]]:
    """What is lost, what is erased and what stays, with this account's own figures."""
    zone, now = account.zone, timezone.now()
    with usage.current_balance(account.id, now) as balance:
        available, bought = balance.available, balance.additional
    of_them = "all" if bought >= available else formatting.credits(bought)
    of_which = f", {of_them} of them bought" if bought else ""
    lost = [f"You lose {formatting.credits(available)} credits{of_which}. They can’t be paid out or moved."]
    return {
        "lost": [*lost, *_plan(subscriptions.state_of(account, now=now), zone)],
        "erased": [
            "You are signed out everywhere, the Sidekick app included.",
            "Your name, email, password, passkeys and connected accounts are erased, and where you signed in from.",
            "Your reports stay with our team without your email; their images are deleted.",
        ],
        "kept": [
            "Payments, credits and what you used of them are kept under a number, because tax law asks for it.",
            "Paddle sold you what you bought, and keeps records of its own.",
        ],
    }


def say(account: User) -> None:
    """Delete the account. Raises `PaddleFault` when its plan could not be ended: nothing is deleted then."""
    subscriptions.cancel_all(account)
    with transaction.atomic():
        person = User.objects.select_for_update(no_key=True).get(id=account.id)
        if person.deleted_at is None:
            email = person.email
            _forget_means(person)
            _forget_traces(person)
            _forget_at_paddles(person)
            _forget_the_person(person, timezone.now())
            # The letters of the account are gone; this one tells whoever did not mean it.
            emails.write("dashboard/email/account_deleted", to=email, context={})
    logger.info("account %s was deleted by its owner", account.id)


def forget_again() -> None:
    """What Paddle told once more, or too late, about people whose accounts are deleted. The worker does it nightly."""
    for person in User.objects.filter(deleted_at__isnull=False, paddle_customer__isnull=False):
        with transaction.atomic():
            _forget_at_paddles(person)


def _plan(state: SubscriptionState, zone: ZoneInfo) -> list[str]:
    if not state.subscription:
        return []
    name = state.price.plan.name if state.price else state.plan.name
    paid = state.period.paid_until
    rest = f" What you paid until {formatting.day(paid.astimezone(zone))} is not paid back." if paid else ""
    return [f"Your {name} subscription ends at once and charges nothing more.{rest}"]


def _forget_means(person: User) -> None:
    """No way to sign in is left."""
    person.device_sessions.end(DeviceSession.Ended.BY_CUSTOMER)
    person.device_sessions.update(ip=None, user_agent="")
    Authenticator.objects.filter(user=person).delete()
    SocialAccount.objects.filter(user=person).delete()
    EmailAddress.objects.filter(user=person).delete()


def _forget_traces(person: User) -> None:
    Letter.objects.filter(Q(account=person) | Q(to__iexact=person.email)).delete()
    ReportImage.objects.filter(account=person).delete()
    Report.objects.filter(account=person).update(account_email="", browser="", page="")
    # Operators' log calls an account by its email.
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(person.id))
    entries.update(object_repr=_nobody(person))


def _forget_at_paddles(person: User) -> None:
    """Our notes of Paddle's customer; it still names the account, so that what comes later finds no other."""
    told = []
    # An event that holds a row may wait for the account: what is skipped here is forgotten in the night.
    for customer in Customer.objects.select_for_update(skip_locked=True).filter(account=person):
        told.append(customer.id)
        customer.forget()
        customer.save(update_fields=["email", "data"])
    for payment in Transaction.objects.select_for_update(skip_locked=True).filter(account=person):
        told.append(payment.id)
        # A card's payment names who holds it.
        if payment.data.get("payments") or payment.data.get("billing_details"):
            payment.data = {**payment.data, "payments": [], "billing_details": None}
            payment.save(update_fields=["data"])
    # The rows stay: what is read from Paddle's feed again counts as known. Bodies are all that names anyone.
    PaddleEvent.objects.filter(entity_id__in=told, due_at=None).exclude(body="").update(body="")


def _forget_the_person(person: User, now: datetime) -> None:
    person.email, person.name, person.time_zone = _nobody(person), "", "UTC"
    person.set_unusable_password()
    person.is_active = person.balance_emails = False
    person.deleted_at = now
    person.save()


def _nobody(person: User) -> str:
    return f"deleted-{person.id}@deleted.invalid"
