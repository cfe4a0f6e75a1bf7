"""The tokens in the cookies become `request.user` and `request.device_session` (A2–A6)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.functional import SimpleLazyObject, cached_property

from sidekick.accounts import device_sessions, known_devices, tokens
from sidekick.accounts.sign_in import unsent_words
from sidekick.serving.environ import ARRIVED

from .http import is_poll
from .models import DeviceSession, User

ENDED_COOKIE = "sidekick_ended"


class SessionTokenMiddleware(AuthenticationMiddleware):
    """Takes the place of Django's: its session only holds the state of sign-in flows, never an identity."""

    def process_request(self, request: HttpRequest) -> None:
        identity = Identity(request)
        identified: Any = request
        identified.identity = identity
        identified.user = SimpleLazyObject(identity.get_user)
        identified.device_session = SimpleLazyObject(lambda: identity.session)
        identified.auser = sync_to_async(identity.get_user)
        identity.refresh()

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        identity: Identity | None = getattr(request, "identity", None)
        if identity:
            identity.tell(response)
        return response


class Identity:
    """The account and device session that a request's cookies speak for, and the cookies of its response."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.now: datetime = timezone.now()
        self.pair: tokens.TokenPair | None = None
        self.signed_in_now = False
        self.signed_out_now = False
        self.refresh_token = request.COOKIES.get(tokens.REFRESH_COOKIE, "")
        self.claims = tokens.read(tokens.AccessToken, request.COOKIES.get(tokens.ACCESS_COOKIE, ""))

    def get_user(self) -> User | AnonymousUser:
        return self.session.user if self.session else AnonymousUser()

    @cached_property
    def session(self) -> DeviceSession | None:
        """Looked up when it is first asked for: one query for a request with a token, none without."""
        session = device_sessions.find(self.claims, self.now) if self.claims else None
        self._put(session)
        return session

    def refresh(self) -> None:
        """Rotate when the access token has run out. The JSON API doesn't take cookies."""
        # This runs before the view, not when the view first asks for the user: a rollback of the view's transaction
        # would forget the token that the browser is about to get.
        if self.claims or not self.refresh_token or self.request.path.startswith("/api/v1/"):
            return
        device = device_sessions.device_of(self.request)
        sent = self.request.META.get(ARRIVED)
        poll = is_poll(self.request)
        refreshed = device_sessions.rotate(self.refresh_token, now=self.now, sent=sent, poll=poll, **device)
        self.session, self.pair = refreshed or (None, None)
        self._put(self.session)

    def sign_in(self, user: User) -> None:
        """Start a device session; the one this browser had so far ends."""
        if self.session:
            DeviceSession.objects.filter(id=self.session.id).end(DeviceSession.Ended.SIGNED_IN_AGAIN)
        with transaction.atomic():
            self.pair = device_sessions.start(user, **device_sessions.device_of(self.request))
            known_devices.tell_if_new(self.pair.session, self.request)
        self.session = self.pair.session
        self.signed_in_now, self.signed_out_now = True, False
        self._put(self.session)

    def sign_out(self) -> None:
        if self.session:
            DeviceSession.objects.filter(id=self.session.id).end(DeviceSession.Ended.SIGNED_OUT)
        self.pair = self.session = None
        self.signed_in_now, self.signed_out_now = False, True
        self._put(None)

    def tell(self, response: HttpResponseBase) -> None:
        """Set or clear the cookies, and keep pages of an account out of every cache."""
        if self.signed_in_now:
            # The state of the sign-in flow must not outlive it.
            unsent_words.end_flow(self.request)
            if self.session:
                known_devices.remember(self.request, response, self.session)
            response.delete_cookie(ENDED_COOKIE, path=reverse(settings.LOGIN_URL), samesite="Lax")
        asked = "session" in self.__dict__
        known = asked and self.session is not None
        over = self.signed_out_now or (asked and not known and self._has_dead_cookies)
        if self.pair:
            tokens.set_cookies(response, self.pair, self.now)
        elif over:
            tokens.clear_cookies(response)
            if not self.signed_out_now:
                self._note_end(response)
        if asked:
            patch_vary_headers(response, ["Cookie"])
        # After the view: its transaction may be read-only, and would keep the row locked.
        if known and self.claims and self.session:
            device_sessions.note_use(self.request, self.session, self.claims, self.now)
        # No-store also keeps Back from showing a page after logging out (A5).
        if self.pair or ((known or over) and "Cache-Control" not in response.headers):
            response.headers["Cache-Control"] = "private, no-store"

    @property
    def _has_dead_cookies(self) -> bool:
        """Whether cookies that speak for nobody should go."""
        # A poll may overlap with a new sign-in in another tab and would delete its cookies; the next click may do it.
        cookies = [name for name in (tokens.ACCESS_COOKIE, tokens.REFRESH_COOKIE) if self.request.COOKIES.get(name)]
        ahead = any(tokens.is_ahead(self.request.COOKIES[name]) for name in cookies)
        return bool(cookies) and not ahead and not is_poll(self.request)

    @property
    def has_ended(self) -> bool:
        """Whether this browser had a session that is over; not of one that was signed out here, or of a visitor."""
        return self.session is None and (self._has_dead_cookies or self.request.COOKIES.get(ENDED_COOKIE) == "1")

    def _note_end(self, response: HttpResponseBase) -> None:
        """Tell the sign-in page, which gets no cookie of the session any more."""
        response.set_cookie(
            ENDED_COOKIE,
            "1",
            max_age=300,
            path=reverse(settings.LOGIN_URL),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )

    def _put(self, session: DeviceSession | None) -> None:
        """Replace the lazy objects by their values, so that `device_session is None` holds."""
        request: Any = self.request
        request.device_session = session
        request.user = session.user if session else AnonymousUser()
