"""The accounts that the fuzzer's requests come from, and the rows that they can be about."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib.admin.utils import quote
from django.core.handlers.wsgi import WSGIHandler
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from credits.ledger import grants, holds
from credits.models import Grant
from credits.usage import recording
from feedback.models import Report
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import ServiceKey, User
from sidekick.web.malformed import ReadableRequest
from tests.billing.store import Store
from tests.conftest import PASSWORD, make_user
from tests.dashboard.backoffice import rows
from tests.fuzzing.exchange import Sent, ask

NOW = datetime(2026, 5, 10, 12, tzinfo=UTC)
CSRF = "c" * 32
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
LINK = re.compile(r'href="[^"?]*\?([^"#]+)')
FIELD = re.compile(r"<(?:input|textarea|select|button)\b[^>]*>")


@dataclass(slots=True)
class World:
    application: Callable[..., Iterable[bytes]]
    store: Store
    # Cookies by caller; a visitor has none but a CSRF token.
    cookies: dict[str, dict[str, str]]
    bearers: list[str]
    # Every address, with its arguments in angle brackets, by its first part; the rest is together.
    addresses_in: dict[str, list[str]]
    # Values that exist, by the name of an argument or a field.
    known: dict[str, list[str]]
    # Fields of the forms and parameters of the links at an address, with their first values.
    forms: dict[str, dict[str, str]] = field(default_factory=dict)


def build(settings: Any, store: Store) -> World:
    """Alice has Pro, usage, credits and reports; the operator may do everything; each table has rows.

    Changes `settings`: sessions last for all of a run, and passwords are hashed fast.
    """
    settings.ACCESS_TOKEN_LIFETIME = settings.SESSION_IDLE_LIMIT
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]
    application = WSGIHandler()
    application.request_class = ReadableRequest
    alice = make_user("alice@example.com", date_joined=timezone.now() - timedelta(days=40))
    operator = make_user("operator@example.com", is_staff=True, is_superuser=True)
    subscription = store.subscribe(alice, "pro")
    grant = grants.grant(alice.id, Decimal(10), kind=Grant.Kind.COURTESY, source_key="gift")
    # Numbers differ, because some tables share their ids.
    made = {label.lower(): rows.make(label, 1, first=number) for number, label in enumerate(rows.MAKERS)}
    known = {label: [str(row.pk) for row in found] for label, found in made.items()}
    report = rows.report(7, alice)
    held = holds.reserve(alice.pk, request_id="held", model="gpt-5", input_tokens=9, max_output_tokens=9)
    _use(alice)
    _, key = ServiceKey.objects.issue("fuzzer", scopes=ServiceKey.Scope.values)
    known |= {
        "session_id": known["accounts.devicesession"],
        "view": ["requests", "models", "history"],
        "key": ["lapsing", "low-20"],
        "report_id": [str(report.pk), *known["feedback.report"]],
        "image_id": [str(uuid.UUID(int=1))],
        "kind": [kind.value for kind in Report.Kind],
        "price_id": [str(number) for number in range(1, 6)],
        "purchase_id": [str(alice.purchases.latest("created_at").pk)],
        "transaction_id": [str(alice.transactions.latest("created_at").pk)],
        "account": [str(alice.pk)],
        "subscription": [subscription],
        "hold_id": [str(held.pk)],
        "pk": [str(grant.pk), str(alice.pk)],
        "content_type_id": ["1", "5"],
        "app_label": ["credits", "billing"],
    }
    cookies = {"visitor": {}, "customer": _cookies(alice), "operator": _cookies(operator)}
    world = World(
        application=application,
        store=store,
        cookies={who: {"csrftoken": CSRF, **pairs} for who, pairs in cookies.items()},
        bearers=[key, cookies["customer"][tokens.ACCESS_COOKIE]],
        addresses_in=_by_part(_addresses(get_resolver())),
        known=known,
    )
    visitor, customer = world.cookies["visitor"], world.cookies["customer"]
    new, known_email, password = {"email": "new@example.com"}, {"email": alice.email}, {"password": PASSWORD}
    world.cookies |= {
        "signing up": _walked(world, visitor, "/accounts/signup/", {**new, "password1": PASSWORD}),
        "signing in by code": _walked(world, visitor, "/accounts/login/code/", known_email),
        "resetting": _walked(world, visitor, "/accounts/password/reset/", known_email),
        "reauthenticated": _walked(world, customer, "/accounts/reauthenticate/", password),
    }
    addresses = [address for some in world.addresses_in.values() for address in some]
    world.forms = {address: found for address in addresses if (found := _fields(world, address))}
    return world


def arguments_of(address: str) -> list[str]:
    return [first or second for first, second in ARGUMENT.findall(address)]


def filled(address: str, values: Mapping[str, str]) -> str:
    """The address with these arguments in it."""
    path = ARGUMENT.sub(lambda match: values[match[1] or match[2]], address)
    return "/" + re.sub(r"\\(.)", r"\1", path.replace("^", "").replace("$", ""))


def values_for(world: World, address: str, name: str) -> list[str]:
    """Values that exist for an argument of an address; in the admin they depend on its table."""
    table = re.match(r"admin/(\w+)/(\w+)/", address)
    if table and name in {"object_id", "pk"}:
        labels = {label.lower(): label for label in world.known}
        found = world.known.get(labels.get(f"{table[1]}.{table[2]}", ""), [])
        return [quote(pk) for pk in found] or ["1"]
    return world.known.get(name, ["1"])


def _addresses(resolver: URLResolver, prefix: str = "") -> Iterable[str]:
    for pattern in resolver.url_patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield address
        else:
            yield from _addresses(pattern, address)


def _by_part(addresses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"admin": [], "accounts": [], "dashboard": [], "api": [], "": []}
    for address in addresses:
        part = address.partition("/")[0]
        found[part if part in found else ""].append(address)
    return found


def _walked(world: World, pairs: dict[str, str], path: str, fields: dict[str, str]) -> dict[str, str]:
    """The cookies of a browser that has sent a form."""
    cookie = "; ".join(f"{name}={value}" for name, value in pairs.items())
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({"csrfmiddlewaretoken": CSRF, **fields}).encode()
    got = ask(world.application, Sent("POST", path, headers, body))
    assert got.status in {302, 200}, (path, got.status)
    return {**pairs, **got.cookies}


def _use(account: User) -> None:
    tokens_used = {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 0, "cache_write_tokens": 0}
    events: list[Any] = [
        {
            "request_id": f"r{n}",
            "account": str(account.pk),
            "model": "gpt-5",
            "occurred_at": timezone.now(),
            **tokens_used,
        }
        for n in range(25)
    ]
    recording.record(events)


def _cookies(user: User) -> dict[str, str]:
    pair = device_sessions.start(user, ip="127.0.0.1", user_agent="fuzzer")
    return {tokens.ACCESS_COOKIE: pair.access, tokens.REFRESH_COOKIE: pair.refresh}


def _fields(world: World, address: str) -> dict[str, str]:
    """The names and values of the fields that the page at an address has."""
    values = {name: values_for(world, address, name)[0] for name in arguments_of(address)}
    found: dict[str, str] = {}
    likely = {"admin": ["operator"], "accounts": list(world.cookies)}.get(
        address.partition("/")[0], ["reauthenticated"]
    )
    for pairs in map(world.cookies.__getitem__, likely):
        cookie = "; ".join(f"{name}={value}" for name, value in pairs.items())
        got = ask(world.application, Sent("GET", filled(address, values), {"Cookie": cookie}))
        for tag in FIELD.findall(got.text) if got.media_type == "text/html" else []:
            name, value = (re.search(rf'\b{part}="([^"]*)"', tag) for part in ("name", "value"))
            if name:
                found.setdefault(unescape(name[1]), unescape(value[1]) if value else "")
        for query in LINK.findall(got.text) if got.media_type == "text/html" else []:
            found |= {name: value for name, value in parse_qsl(unescape(query)) if name not in found}
    return found
