"""Probes for balancers, monitors and Prometheus: `/healthz`, `/readyz` and `/metrics` (O3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidekick import metrics as sidekick_metrics
from sidekick.serving.front import LIVENESS_PATH

PATIENCE = timedelta(seconds=2)
# procrastinate's workers report every ten seconds.
WORKER_SILENT = timedelta(seconds=60)
WAITS_TOO_LONG = timedelta(minutes=5)
# The first try is immediate. An event that fails for this long needs a person.
WEBHOOK_WAITS_TOO_LONG = timedelta(minutes=15)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `why` is empty when all is well; pages need every `needed` one to be well."""

    name: str
    why: str = ""
    seconds: float | None = None
    needed: bool = False

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"ok": not self.why}
        if self.why:
            found["why"] = self.why
        if self.seconds is not None:
            found["seconds"] = round(self.seconds, 1)
        return found


class ProbeMiddleware:
    """Answers probes before any other middleware sees them.

    A balancer asks over plain HTTP and by our address, which the other middleware redirects or refuses.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        if probe is None:
            return self.get_response(request)
        request.is_probe = True  # type: ignore[attr-defined]
        if request.method not in {"GET", "HEAD"}:
            return HttpResponse("Probes are read by GET.", "text/plain", 405, headers={"Allow": "GET, HEAD"})
        response = probe(request)
        response.headers["Cache-Control"] = "no-store"
        return response


def healthz(request: HttpRequest) -> HttpResponse:
    """Returns 200 while the process lives, whatever else is down: a restart wouldn't mend the database."""
    return HttpResponse("ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """Returns 200 while pages can be served, else 503: {"status", "checks": {name: {"ok", "why", "seconds"}}}.

    A dead worker or mail that is stuck must not take pages off the net. They only degrade, which `?strict=1` answers
    with 503, for monitors.
    """
    # Nothing has looked at the request yet, so Django's parser might raise.
    strict = "strict=1" in request.META.get("QUERY_STRING", "").split("&")
    checks = [*needed(), *wanted()]
    unable = any(check.why for check in checks if check.needed)
    degraded = any(check.why for check in checks)
    status = "unavailable" if unable else "degraded" if degraded else "ready"
    refused = unable or (degraded and strict)
    body = {"status": status, "checks": {check.name: check.as_json() for check in checks}}
    return JsonResponse(body, status=503 if refused else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    if not settings.METRICS_TOKEN:
        return HttpResponse("Set METRICS_TOKEN to have metrics.", status=404, content_type="text/plain")
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse("", "text/plain", 401, headers={"WWW-Authenticate": "Bearer"})
    now = CollectorRegistry()
    now.register(Stock())
    return HttpResponse(
        generate_latest(sidekick_metrics.registry()) + generate_latest(now), content_type=CONTENT_TYPE_LATEST
    )


PROBES = {LIVENESS_PATH: healthz, "/readyz": readyz, "/metrics": metrics}


def needed() -> list[Check]:
    """The checks without which no page can be served."""
    try:
        missing = _leaves() - {(app, name) for app, name in _ask("SELECT app, name FROM django_migrations")}
    except Error as error:
        return [Check("database", f"It does not answer ({type(error).__name__}).", needed=True)]
    why = f"{len(missing)} apps are behind: run manage.py migrate." if missing else ""
    return [Check("database", needed=True), Check("migrations", why, needed=True)]


def wanted() -> list[Check]:
    """The checks of work behind the pages; ages in seconds."""
    try:
        [(heartbeat, webhook, job, letter)] = _ask(AGES)
    except Error:
        return [Check("background", "The database did not say in time.")]
    return [
        Check("worker", _late(heartbeat, WORKER_SILENT, "No worker has reported lately.", ever=True), heartbeat),
        Check("webhooks", _late(webhook, WEBHOOK_WAITS_TOO_LONG, "Events of Paddle wait or fail."), webhook),
        Check("jobs", _late(job, WAITS_TOO_LONG, "Jobs wait for a worker."), job),
        Check("letters", _late(letter, WAITS_TOO_LONG, "Emails wait to be sent."), letter),
    ]


# Each subquery reads an index of waiting rows, never the rows that are done.
AGES = """
    SELECT
        (SELECT extract(epoch FROM now() - max(last_heartbeat))::float FROM procrastinate_workers),
        (SELECT extract(epoch FROM now() - min(received_at))::float FROM billing_paddleevent WHERE due_at IS NOT NULL),
        (SELECT extract(epoch FROM now() - greatest(j.scheduled_at, e.at))::float
            FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'
            WHERE j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
            ORDER BY j.id LIMIT 1),
        (SELECT extract(epoch FROM now() - min(due_at))::float FROM accounts_letter WHERE due_at <= now())
    """
STOCK = """
    SELECT 'sidekick_jobs', status::text, count(*) FROM procrastinate_jobs GROUP BY status
    UNION ALL SELECT 'sidekick_inbox', state, count(*) FROM billing_paddleevent WHERE due_at IS NOT NULL GROUP BY state
    UNION ALL SELECT 'sidekick_letters', 'waiting', count(*) FROM accounts_letter WHERE due_at IS NOT NULL
    UNION ALL SELECT 'sidekick_wallets', 'due', count(*) FROM credits_wallet WHERE due_at <= now()
    UNION ALL SELECT 'sidekick_workers', 'alive', count(*) FROM procrastinate_workers
        WHERE last_heartbeat > now() - interval '60 seconds'
    UNION ALL SELECT 'sidekick_rows_written', relname::text, n_tup_ins FROM pg_stat_user_tables
        WHERE relname IN ('credits_grant', 'credits_ledgerentry', 'credits_usageevent', 'billing_paddleevent')
    """
MEANINGS = {
    "sidekick_jobs": "Jobs by state; those that went well are not kept.",
    "sidekick_inbox": "Paddle's events that wait to be applied.",
    "sidekick_letters": "Emails that wait to be sent.",
    "sidekick_wallets": "Wallets where the clock has something to do: open a period, or lapse a grant or a hold.",
    "sidekick_workers": "Workers that reported within a minute.",
    "sidekick_rows_written": "Rows ever inserted, by all processes, since PostgreSQL's statistics were reset.",
}


class Stock(Collector):
    """Gauges of the database at this moment, asked when Prometheus scrapes."""

    def collect(self) -> Iterable[Metric]:
        try:
            rows, [ages] = _ask(STOCK), _ask(AGES)
        except Error:
            yield GaugeMetricFamily("sidekick_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("sidekick_database_up", "Whether the database answers.", 1)
        for name, meaning in MEANINGS.items():
            family = GaugeMetricFamily(name, meaning, labels=["what"])
            for _, what, number in (row for row in rows if row[0] == name):
                family.add_metric([what], number)
            yield family
        waiting = GaugeMetricFamily("sidekick_oldest_seconds", "Age of the oldest that waits.", labels=["what"])
        for what, age in zip(("heartbeat", "webhook", "job", "letter"), ages, strict=True):
            if age is not None:
                waiting.add_metric([what], age)
        yield waiting


def _late(seconds: float | None, limit: timedelta, why: str, *, ever: bool = False) -> str:
    """Returns `why` when the age is over its limit, or with `ever` when there is no age at all."""
    if seconds is None:
        return why if ever else ""
    return why if seconds > limit.total_seconds() else ""


def _ask(statement: str) -> list[tuple[Any, ...]]:
    """Returns the statement's rows. Raises `django.db.Error` within two seconds: a probe must not wait."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE // timedelta(milliseconds=1)}")
        cursor.execute(statement)
        return list(cursor.fetchall())


@cache
def _leaves() -> set[tuple[str, str]]:
    """The last migration of every app in this release. A database that is further on is fine."""
    return set(MigrationLoader(None).graph.leaf_nodes())
