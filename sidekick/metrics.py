"""Counts of requests and outcomes for Prometheus, and the access log (O3). Labels never hold anyone's id."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from sidekick import logs

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# A balancer may name a request, by a UUID and nothing else: the id stands in every log line and in the response.
REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
# Probes come every few seconds, and static files by the dozen for one page: counted, but without a log line.
QUIET = {"probe", "static"}

requests = Counter("sidekick_requests", "Requests answered.", ["view", "method", "status"])
request_seconds = Histogram("sidekick_request_seconds", "Time to answer.", ["view"], buckets=SECONDS)
database_errors = Counter("sidekick_database_errors", "Requests that PostgreSQL failed, by SQLSTATE.", ["sqlstate"])
usage_events = Counter("sidekick_usage_events", "Usage events that backends reported.", ["outcome"])
webhooks = Counter("sidekick_webhooks", "Paddle's webhooks, by what became of them.", ["outcome"])

access = logging.getLogger("sidekick.access")


class RequestMetricsMiddleware:
    """Outermost middleware: it gives each request its id, times and counts it, and writes its access line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        identified: Any = request
        request_id = identified.request_id = _id_of(request)
        token = logs.context.set({"request_id": request_id})
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = request_id
            _note(request, response.status_code, time.perf_counter() - started)
        finally:
            logs.context.reset(token)
        return response


def registry() -> CollectorRegistry:
    """Returns the counts of this process, or with METRICS_DIR of all processes that share the folder."""
    if not settings.METRICS_DIR:
        return REGISTRY
    collected = CollectorRegistry()
    MultiProcessCollector(collected, settings.METRICS_DIR)
    return collected


def _id_of(request: HttpRequest) -> str:
    given = request.headers.get("X-Request-ID", "")
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _note(request: HttpRequest, status: int, seconds: float) -> None:
    view = _view_of(request)
    # A made-up method would be a label of its own, and labels are kept for ever.
    method = request.method if request.method in METHODS else "other"
    requests.labels(view, method, f"{status // 100}xx").inc()
    request_seconds.labels(view).observe(seconds)
    if view not in QUIET:
        extra = {"view": view, "method": method, "status": status, "milliseconds": round(seconds * 1000, 1)}
        access.info("%s %s %d", method, view, status, extra=extra)


def _view_of(request: HttpRequest) -> str:
    if getattr(request, "is_probe", False):
        return "probe"
    if request.path_info.startswith(settings.STATIC_URL):
        return "static"
    return logs.view_of(request)
