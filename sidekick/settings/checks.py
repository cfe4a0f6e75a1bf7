"""System checks of settings that must not be served with (`manage.py check --tag settings`).

`wsgi.py` runs them before it serves, and `manage.py` before a command starts, the worker among them. They report all
faults at once. Only what can't wait for them raises `ImproperlyConfigured` at once: a missing secret key, and a value
that can't be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

TAG = "settings"
SHORTEST_KEY = 50
# A secret with fewer characters can be guessed.
SHORTEST_SECRET = 16
# As standardwebhooks.com has it: the base64 of at least 24 bytes, with or without its padding.
STANDARD_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?")
# Nothing crosses over between live and sandbox: a key of the other one would fail on the first customer.
PADDLE_PREFIXES = {
    "live": {"PADDLE_API_KEY": "pdl_live_apikey_", "PADDLE_CLIENT_TOKEN": "live_"},
    "sandbox": {"PADDLE_API_KEY": "pdl_sdbx_apikey_", "PADDLE_CLIENT_TOKEN": "test_"},
}


@register(TAG)
def site(**_: Any) -> Iterable[CheckMessage]:
    if settings.PRODUCTION:
        yield from _production_site()
    elif not _is_local(settings.SITE_URL) and settings.SECRET_KEY == settings.DEVELOPMENT_KEY:
        yield _error(
            "SITE_URL",
            "is a public address but ENVIRONMENT is development, whose secret everyone knows: "
            "set ENVIRONMENT=production.",
        )


def _production_site() -> Iterator[Error]:
    if settings.DEBUG:
        yield _error("DEBUG", "shows secrets to visitors: unset it, or set ENVIRONMENT=development.")
    if min(map(len, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS])) < SHORTEST_KEY:
        yield _error("SECRET_KEY", f"is too short: set {SHORTEST_KEY} or more random characters.")
    if not settings.SITE_URL:
        yield _error("SITE_URL", "is not set. Set it to the public address, such as https://app.example.com.")
    elif not settings.SITE_URL.startswith("https://"):
        yield _error("SITE_URL", "must start with https:// in production: cookies travel on HTTPS only.")
    if settings.TRUSTED_PROXIES < 0:
        yield _error(
            "TRUSTED_PROXIES",
            "is not set. Set how many proxies before the application write X-Forwarded-For, 0 if there is none: rate "
            "limits count by address, and a proxy's address is everyone's.",
        )


@register(TAG, deploy=True)
def owners_pages(**_: Any) -> Iterable[CheckMessage]:
    for name in settings.OWNERS_PAGES:
        if settings.PRODUCTION and not getattr(settings, name):
            yield checks.Warning(f"{name} is not set: customers see a placeholder.", id=f"settings.{name}")


@register(TAG)
def database(**_: Any) -> Iterable[CheckMessage]:
    # An image is built without a database.
    if not settings.DATABASE_URL and not settings.BUILDING:
        yield _error("DATABASE_URL", "is not set. Set it to postgresql://user:password@host:5432/database.")


@register(TAG)
def social_providers(**_: Any) -> Iterable[CheckMessage]:
    for provider in ("GOOGLE", "GITHUB"):
        for app in settings.SOCIALACCOUNT_PROVIDERS[provider.lower()]["APPS"]:
            if not (app["client_id"] and app["secret"]):
                yield _error(f"{provider}_CLIENT_ID", f"and {provider}_CLIENT_SECRET go together: set both or none.")


@register(TAG)
def operations(**_: Any) -> Iterable[CheckMessage]:
    if not settings.PRODUCTION:
        return
    if not settings.EMAIL_HOST:
        yield _error("EMAIL_HOST", "is not set. Set it to your SMTP server: sign-up needs email.")
    if settings.LOG_LEVEL == "DEBUG":
        yield _error("LOG_LEVEL", "is DEBUG, which writes people's data into the log: set INFO or higher.")
    if 0 < len(settings.METRICS_TOKEN) < SHORTEST_SECRET:
        yield _error("METRICS_TOKEN", f"can be guessed: set {SHORTEST_SECRET} or more random characters.")


@register(TAG)
def serving(**_: Any) -> Iterable[CheckMessage]:
    if settings.WEB_THREADS < 1:
        yield _error("WEB_THREADS", "is 0, so no page could be served: set 1 or more, 8 as a rule.")


@register(TAG)
def feedback_webhook(**_: Any) -> Iterable[CheckMessage]:
    url, secret = settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET
    if bool(url) != bool(secret):
        yield _error("FEEDBACK_WEBHOOK_URL", "and FEEDBACK_WEBHOOK_SECRET go together: set both or none.")
    if url and not url.startswith(("https://", "http://")):
        yield _error("FEEDBACK_WEBHOOK_URL", "must be an address that starts with https://.")
    elif url and settings.PRODUCTION and not url.startswith("https://"):
        yield _error("FEEDBACK_WEBHOOK_URL", "must start with https:// in production: reports are private.")
    if settings.PRODUCTION and 0 < len(secret) < SHORTEST_SECRET:
        yield _error("FEEDBACK_WEBHOOK_SECRET", f"is under {SHORTEST_SECRET} characters, which can be guessed.")
    if secret.startswith("whsec_") and not STANDARD_SECRET.fullmatch(secret):
        yield _error("FEEDBACK_WEBHOOK_SECRET", "starts with whsec_, so base64 of at least 24 bytes must follow.")


@register(TAG)
def paddle(**_: Any) -> Iterable[CheckMessage]:
    if settings.PADDLE_SIMULATED:
        yield from _paddle_simulator()
    elif settings.PADDLE_ENVIRONMENT in PADDLE_PREFIXES:
        yield from _paddle_keys()
        yield from _paddle_webhook_secrets()
    else:
        yield _error("PADDLE_ENVIRONMENT", f"must be live, sandbox or simulator, not {settings.PADDLE_ENVIRONMENT!r}.")


def _paddle_simulator() -> Iterator[Error]:
    if settings.PRODUCTION:
        yield _error("PADDLE_ENVIRONMENT", "is simulator, which lets anyone pay with nothing: set live or sandbox.")
    elif not _is_local(settings.SITE_URL):
        yield _error("PADDLE_ENVIRONMENT", "is simulator, which is for this machine only: set sandbox.")
    if not _is_local(settings.PADDLE_API_URL):
        yield _error("PADDLE_SIMULATOR_URL", "must be an address of this machine.")


def _paddle_keys() -> Iterator[Error]:
    if not settings.PADDLE_API_KEY:
        yield _error("PADDLE_API_KEY", "is not set. Make one in Paddle's dashboard, under Developer tools.")
    if settings.PRODUCTION and not settings.PADDLE_CLIENT_TOKEN:
        yield _error("PADDLE_CLIENT_TOKEN", "is not set. `manage.py paddle_setup` makes and prints it.")
    for name, prefix in PADDLE_PREFIXES[settings.PADDLE_ENVIRONMENT].items():
        value = getattr(settings, name)
        if value and not value.startswith(prefix):
            environment = settings.PADDLE_ENVIRONMENT
            yield _error(name, f"is not of Paddle's {environment} environment: it must start with {prefix}.")


def _paddle_webhook_secrets() -> Iterator[Error]:
    secrets = settings.PADDLE_WEBHOOK_SECRETS
    if settings.PRODUCTION and not secrets:
        yield _error(
            "PADDLE_WEBHOOK_SECRETS",
            "is not set. Set it to the secret of the notification destination in Paddle's dashboard.",
        )
    elif not all(secrets):
        yield _error("PADDLE_WEBHOOK_SECRETS", "holds an empty secret: join secrets by single commas.")
    elif settings.PRODUCTION and min(map(len, secrets)) < SHORTEST_SECRET:
        yield _error(
            "PADDLE_WEBHOOK_SECRETS", f"holds a secret under {SHORTEST_SECRET} characters, which can be guessed."
        )


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in settings.LOCAL


def _error(variable: str, fault: str) -> Error:
    return Error(f"{variable} {fault}", id=f"settings.{variable}")
