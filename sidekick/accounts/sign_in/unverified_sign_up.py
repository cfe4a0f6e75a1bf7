"""The account that a sign-up in this browser made, until its address is verified: a typing error moves it."""

from __future__ import annotations

from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import transaction
from django.http import HttpRequest

from sidekick.accounts.models import User

BEGUN_KEY = "begun_account"
NOBODY = UUID(int=0)


def remember_begun(request: HttpRequest, account: User) -> None:
    """Note the account that a sign-up here has just made, before its address is corrected."""
    request.session[BEGUN_KEY] = str(account.pk)


def begun_account(request: HttpRequest) -> User | None:
    """Returns the account that a sign-up in this browser made and nobody has verified or used since, or None."""
    verified = EmailAddress.objects.filter(verified=True).values("user_id")
    begun = User.objects.filter(pk=str(request.session.get(BEGUN_KEY) or NOBODY), last_login=None, is_active=True)
    return begun.exclude(pk__in=verified).first()


@transaction.atomic
def correct_account(request: HttpRequest, *, email: str, password: str) -> User | None:
    """Give the account begun here another address and password, instead of leaving it behind for a second one."""
    begun = begun_account(request)
    if begun is None:
        return None
    account = User.objects.select_for_update().get(pk=begun.pk)
    # Another browser may have verified the first address, or be doing so: the account is somebody's then.
    list(EmailAddress.objects.select_for_update().filter(user=account))
    if begun_account(request) is None:
        return None
    del request.session[BEGUN_KEY]
    account.email = email
    account.set_password(password)
    account.save(update_fields=["email", "password"])
    EmailAddress.objects.filter(user=account).delete()
    EmailAddress.objects.create(user=account, email=email, primary=True)
    return account
