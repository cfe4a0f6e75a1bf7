"""Deletes an account for its owner, and says beforehand what that means (A10).

Everything that tells who the person was is erased. Payments, ledger and usage stay under an id that leads to nobody,
because accounting must keep them.
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
from credits.reports.balance import current_balance
from feedback.models import Report, ReportImage
from sidekick import formatting
from sidekick.accounts import emails
from sidekick.accounts.models import DeviceSession, Letter, User

logger = logging.getLogger(__name__)


def reason_against(account: User) -> str:
    """Returns a sentence that says why this account can't be deleted by its owner; "" where it can."""
    if account.is_staff:
        return "This is an operator’s account: operator rights have to be taken from it first."
    if checkout.plan_is_on_its_way(account):
        # Its subscription would start after the account is gone, and charge for ever.
        return subscriptions.PROCESSING
    return ""


def consequences(account: User) -> dict[str, list[str]]:
    """Sentences about what is "lost", "erased" and "kept", with this account's own figures."""
    zone, now = account.zone, timezone.now()
    with current_balance(account.id, now) as balance:
        available, bought = balance.available, balance.additional
    of_them = "all" if bought >= available else formatting.credits(bought)
    of_which = f", {of_them} of them bought" if bought else ""
    lost = [f"You lose {formatting.credits(available)} credits{of_which}. They can’t be paid out or moved."]
    return {
        "lost": [*lost, *_plan(subscriptions.state_of(account, now=now), zone)],
        "erased": [
            "You are logged out everywhere, the Sidekick app included.",
            "Your name, email, password, passkeys and connected accounts are erased, and where you signed in from.",
        ],
        "kept": [
            "Your reports stay with our team without your email; their images are deleted.",
            "Payments, credits and what you used of them are kept under a number, because tax law asks for it.",
            "Paddle sold you what you bought, and keeps records of its own.",
        ],
    }


def delete_account(account: User) -> None:
    """Cancel all plans of the account and erase its owner. Safe to call again, after a failure or a double click.

    Raises `PaddleFault` when a plan could not be cancelled; nothing is erased then.
    """
    # Paddle comes first: an account that is gone must not be charged.
    subscriptions.cancel_all(account)
    with transaction.atomic():
        person = User.objects.select_for_update(no_key=True).get(id=account.id)
        if person.deleted_at is None:
            email = person.email
            _erase_sign_in(person)
            _erase_traces(person)
            _erase_from_snapshots(person)
            _anonymise(person, timezone.now())
            # Stored emails of the account are gone. This one is for an owner who did not delete the account.
            emails.write("dashboard/email/account_deleted", to=email, context={})
    logger.info("account %s was deleted by its owner", account.id)


def erase_again() -> None:
    """Erase what Paddle sent about owners of deleted accounts since then. The worker calls it nightly."""
    for person in User.objects.filter(deleted_at__isnull=False, paddle_customer__isnull=False):
        with transaction.atomic():
            _erase_from_snapshots(person)


def _plan(state: SubscriptionState, zone: ZoneInfo) -> list[str]:
    if not state.subscription:
        return []
    name = state.price.plan.name if state.price else state.plan.name
    paid = state.period.paid_until
    rest = f" No refund for the time left, until {formatting.day(paid.astimezone(zone))}." if paid else ""
    return [f"Your {name} subscription ends at once and charges nothing more.{rest}"]


def _erase_sign_in(person: User) -> None:
    person.device_sessions.end(DeviceSession.Ended.BY_CUSTOMER)
    person.device_sessions.update(ip=None, user_agent="")
    Authenticator.objects.filter(user=person).delete()
    SocialAccount.objects.filter(user=person).delete()
    EmailAddress.objects.filter(user=person).delete()


def _erase_traces(person: User) -> None:
    Letter.objects.filter(Q(account=person) | Q(to__iexact=person.email)).delete()
    ReportImage.objects.filter(account=person).delete()
    Report.objects.filter(account=person).update(account_email="", browser="", page="")
    # The operators' log names an account by its email.
    entries = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(person.id))
    entries.update(object_repr=_nobody(person))


def _erase_from_snapshots(person: User) -> None:
    # The customer's row still names the account, so that later events for it find no other one.
    erased = []
    # Skip locked rows: an event that holds one may wait for our lock on the account. `erase_again` comes back to them.
    for customer in Customer.objects.select_for_update(skip_locked=True).filter(account=person):
        erased.append(customer.id)
        customer.forget()
        customer.save(update_fields=["email", "data"])
    for payment in Transaction.objects.select_for_update(skip_locked=True).filter(account=person):
        erased.append(payment.id)
        # The payment by a card names its holder.
        if payment.data.get("payments") or payment.data.get("billing_details"):
            payment.data = {**payment.data, "payments": [], "billing_details": None}
            payment.save(update_fields=["data"])
    # Only bodies name anyone. The rows stay, so that the same event from Paddle's feed counts as known.
    PaddleEvent.objects.filter(entity_id__in=erased, due_at=None).exclude(body="").update(body="")


def _anonymise(person: User, now: datetime) -> None:
    person.email, person.name, person.time_zone = _nobody(person), "", "UTC"
    person.set_unusable_password()
    person.is_active = person.balance_emails = False
    person.deleted_at = now
    person.save()


def _nobody(person: User) -> str:
    return f"deleted-{person.id}@deleted.invalid"
