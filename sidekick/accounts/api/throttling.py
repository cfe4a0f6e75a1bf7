"""How many requests a minute each service key and each account may make, counted across all processes.

One statement a request on a table of its own: unlogged, one short row a caller, updated in place. What a crash of
PostgreSQL forgets is at most a minute's count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from sidekick.accounts.models import ServiceKey
from sidekick.api.problems import Problem

WINDOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Count:
    """A caller's requests of this window, this one included. `reset` is in seconds, rounded up."""

    limit: int
    requests: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """Follows draft-ietf-httpapi-ratelimit-headers-06, the last with one header a figure, which clients know."""
        remaining = max(self.limit - self.requests, 0)
        policy = f"{self.limit};w={WINDOW // timedelta(seconds=1)}"
        figures = {"Limit": self.limit, "Remaining": remaining, "Reset": self.reset, "Policy": policy}
        return {f"RateLimit-{name}": str(figure) for name, figure in figures.items()}


def count(caller: str, limit: int, now: datetime) -> Count:
    """Count one request of a caller.

    A window begins with a caller's first request. Clocks of several machines may differ: a moment a little before
    the window belongs to it as well, and one far from it begins another, so no clock can lock a caller out.
    """
    parameters: dict[str, Any] = {"caller": caller, "now": now, "window": WINDOW}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO accounts_request_count AS c (caller, starts_at, requests) VALUES (%(caller)s, %(now)s, 1)
            ON CONFLICT (caller) DO UPDATE SET (starts_at, requests) = (
                SELECT CASE WHEN same THEN c.starts_at ELSE excluded.starts_at END,
                    CASE WHEN same THEN c.requests + 1 ELSE 1 END
                FROM (SELECT excluded.starts_at > c.starts_at - %(window)s
                    AND excluded.starts_at < c.starts_at + %(window)s AS same) w
            )
            RETURNING starts_at, requests
            """,
            parameters,
        )
        starts_at, requests = cursor.fetchone()
    return Count(limit, requests, math.ceil((starts_at + WINDOW - now) / timedelta(seconds=1)))


class CallerThrottle(BaseThrottle):
    """Every service key and every account has a number of requests a minute; 0 is no limit, and no counting."""

    def __init__(self) -> None:
        self.counted: Count | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        if isinstance(request.auth, ServiceKey):
            caller, limit = f"key {request.auth.pk}", settings.API_KEY_REQUESTS_A_MINUTE
        else:
            caller, limit = f"account {request.user.pk}", settings.API_ACCOUNT_REQUESTS_A_MINUTE
        if not limit:
            return True
        self.counted = count(caller, limit, timezone.now())
        marked: Any = request
        marked.counted = self.counted
        return self.counted.requests <= limit

    def wait(self) -> float | None:
        return self.counted.reset if self.counted else None


class LimitedView(APIView):
    """A view whose callers are counted, and told."""

    throttle_classes = [CallerThrottle]

    def check_permissions(self, request: Request) -> None:
        """Count refused callers too (403). A caller without credentials (401) has no name to count by."""
        try:
            super().check_permissions(request)
        except (PermissionDenied, Problem):
            self.check_throttles(request)
            raise

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        counted: Count | None = getattr(request, "counted", None)
        for name, value in (counted.headers if counted else {}).items():
            response.headers[name] = value
        return response
