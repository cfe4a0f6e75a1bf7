"""Whether an account has been signed in to on this device before, and the email when it hasn't.

A device is known by a cookie that names the sessions last started on it, or, as people clear their cookies and API
clients have none, by an earlier session of the account from the same IP address with the same browser and system. A
session that was ended from elsewhere (by its owner, an operator, or for a stolen token) makes no device known.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from sidekick.accounts import emails, user_agents
from sidekick.accounts.models import DeviceSession, DeviceSessionQuerySet

COOKIE = settings.DEVICE_COOKIE
SALT = "sidekick.accounts.devices"
REMEMBERED_FOR = 365 * 24 * 3600
MOST_SESSIONS = 5
ENDED_FROM_ELSEWHERE = (DeviceSession.Ended.BY_CUSTOMER, DeviceSession.Ended.BY_OPERATOR, DeviceSession.Ended.REUSE)


def tell_if_new(session: DeviceSession, request: HttpRequest) -> None:
    """Email the account when its session has started on a device that is not known; not for its first session."""
    earlier = DeviceSession.objects.filter(user=session.user).exclude(id=session.id)
    first = session.user.last_login is None and not earlier.exists()
    if first or _is_known(session, earlier.exclude(revoked_because__in=ENDED_FROM_ELSEWHERE), request):
        return
    context = {"timestamp": session.created_at, "browser": user_agents.in_words(session.user_agent), "ip": session.ip}
    emails.write("account/email/new_sign_in", to=session.user, context=context, key=f"new_sign_in:{session.id}")


def remember(request: HttpRequest, response: HttpResponseBase, session: DeviceSession) -> None:
    """Note the session in the browser, beside those of other accounts, for a year. The cookie lets nobody in."""
    response.set_cookie(
        COOKIE,
        signing.dumps([session.id.hex, *_noted(request)][:MOST_SESSIONS], salt=SALT),
        max_age=REMEMBERED_FOR,
        path="/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _is_known(session: DeviceSession, earlier: DeviceSessionQuerySet, request: HttpRequest) -> bool:
    if earlier.filter(id__in=[uuid.UUID(noted) for noted in _noted(request)]).exists():
        return True
    browser = user_agents.in_words(session.user_agent)
    agents = earlier.filter(ip=session.ip).order_by().values_list("user_agent", flat=True).distinct()
    return any(user_agents.in_words(agent) == browser for agent in agents)


def _noted(request: HttpRequest) -> list[str]:
    """The ids in the cookie, which only we can have written."""
    try:
        noted: list[str] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=REMEMBERED_FOR)
    except signing.BadSignature:
        return []
    return noted
