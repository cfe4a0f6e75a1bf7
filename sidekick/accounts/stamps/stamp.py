"""The stamp of an account: each page carries that of the account it was drawn for, and sends it with every request.

Another tab may sign in to another account meanwhile. A stamp gives no rights; it only lets a request be refused.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest
from django.http import HttpRequest, UnreadablePostError
from django.utils.crypto import constant_time_compare, salted_hmac

from sidekick.accounts.models import User

FIELD = "account_stamp"
HEADER = "Sidekick-Account"
VISITOR = ""
_SALT = "sidekick.accounts.stamp"


def stamp_of(user: User | AnonymousUser) -> str:
    """Returns the stamp of an account, always the same one; "" for a visitor."""
    return _made(user, None) if user.is_authenticated else VISITOR


def stamp_for(request: HttpRequest) -> str:
    """Returns the stamp that the page of this request carries, computed once for all its forms."""
    # A sign-in of this very request changes its user.
    user = request.user
    kept: tuple[object, str] | None = getattr(request, "_account_stamp", None)
    if kept is None or kept[0] != user.pk:
        kept = (user.pk, stamp_of(user))
        request._account_stamp = kept  # type: ignore[attr-defined]
    return kept[1]


def sent_stamp(request: HttpRequest) -> str | None:
    """Returns the stamp of the page that a request came from; None where it doesn't tell.

    Raises `BadRequest` where the client went away: a second look at the form would find an empty one.
    """
    if HEADER in request.headers:
        return request.headers[HEADER]
    if request.method != "POST":
        return None
    try:
        return request.POST.get(FIELD)
    except UnreadablePostError as error:
        raise BadRequest("The body broke off.") from error


def is_others(stamp: str | None, user: User | AnonymousUser) -> bool:
    """Whether a page was drawn for a visitor or for another account than the one that is signed in now.

    After a sign-out nobody is: pages that need an account ask to sign in, and nothing happens to another account.
    """
    if stamp is None or not user.is_authenticated:
        return False
    # A page that is open while the key changes stays valid.
    return not any(constant_time_compare(stamp, _made(user, key)) for key in (None, *settings.SECRET_KEY_FALLBACKS))


def _made(user: User, key: str | None) -> str:
    return salted_hmac(_SALT, str(user.pk), secret=key, algorithm="sha256").hexdigest()[:24]
