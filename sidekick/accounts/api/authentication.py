"""How the JSON API knows its callers: `Authorization: Bearer`, never cookies, so that no other site can call it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, ServiceKey, User
from sidekick.api.problems import Problem

CHALLENGE = {"WWW-Authenticate": "Bearer"}


class BearerAuthentication(BaseAuthentication):
    """A customer's access token; `request.auth` is the device session. One query, and one more after a refresh."""

    def authenticate(self, request: Request) -> tuple[User, DeviceSession] | None:
        token = bearer(request)
        if token is None or token.startswith(ServiceKey.PREFIX):
            return None
        claims = tokens.read(tokens.AccessToken, token)
        now = timezone.now()
        session = device_sessions.find(claims, now) if claims else None
        if claims is None or session is None:
            raise Problem(
                401, "invalid_token", "The access token is not valid, or its session ended.", headers=CHALLENGE
            )
        device_sessions.note_use(request._request, session, claims, now)
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class ServiceKeyAuthentication(BaseAuthentication):
    """A key of the AI backend; `request.auth` is the `ServiceKey`, `request.user` is nobody. One query."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ServiceKey] | None:
        secret = bearer(request)
        if secret is None or not secret.startswith(ServiceKey.PREFIX):
            return None
        key = ServiceKey.objects.filter(digest=ServiceKey.digest_of(secret), revoked_at=None).first()
        if key is None:
            raise Problem(401, "invalid_key", "The service key is unknown or revoked.", headers=CHALLENGE)
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def bearer(request: Request) -> str | None:
    """The token of an `Authorization: Bearer` header; any other scheme is as good as none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def has_scope(scope: str) -> type[BasePermission]:
    """A permission: a service key that may do `scope`.

    Where customers may come too: `[has_scope("credits:read") | IsAuthenticated]`.
    """

    class HasScope(BasePermission):
        def has_permission(self, request: Request, view: APIView) -> bool:
            if not isinstance(request.auth, ServiceKey):
                return False
            if scope not in request.auth.scopes:
                raise Problem(403, "missing_scope", f"This service key lacks the scope {scope}.")
            return True

    return HasScope


class AccessTokenScheme(OpenApiAuthenticationExtension):
    target_class = BearerAuthentication
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A customer's access token, from `/api/v1/auth/token`.",
        }


class ServiceKeyScheme(OpenApiAuthenticationExtension):
    target_class = ServiceKeyAuthentication
    name = "serviceKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A service key of the AI backend, `sk_…`: `manage.py create_service_key NAME`.",
        }
