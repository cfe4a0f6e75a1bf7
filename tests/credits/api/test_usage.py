"""The JSON API of credits: every body gets a receipt or a problem, and a refused event changes nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings
from django.db.models import Sum
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from credits.ledger import grants
from credits.models import Grant, UsageEvent, UsageRollup, Wallet
from credits.usage import recording
from sidekick.accounts import device_sessions
from sidekick.accounts.models import ServiceKey, User
from tests.credits.books import NOW, assert_books_balance, event

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
READING = ["/api/v1/credits", "/api/v1/usage", "/api/v1/usage/models"]
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def _at_noon() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def backend() -> Client:
    return backend_with(*ServiceKey.Scope.values)


def backend_with(*scopes: str) -> Client:
    _, secret = ServiceKey.objects.issue(f"backend {uuid.uuid4()}", scopes=scopes)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def customer(user: User) -> Client:
    access = device_sessions.start(user, ip="127.0.0.1", user_agent="tests").access
    return Client(headers={"Authorization": f"Bearer {access}"})


def sent(user: User, request_id: str = "req_1", **changes: object) -> dict[str, Any]:
    """An event as JSON has it."""
    made: dict[str, Any] = {**event(user), "request_id": request_id} | changes
    if isinstance(made["occurred_at"], datetime):
        made["occurred_at"] = made["occurred_at"].isoformat()
    return made


def post(client: Client, body: object) -> Any:
    raw = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post("/api/v1/usage", raw, content_type="application/json")


def report(client: Client, *events: object) -> dict[str, Any]:
    response = post(client, {"events": events})
    assert response.status_code == 200, response.content
    receipt: dict[str, Any] = response.json()
    assert receipt["accepted"] + receipt["duplicates"] + len(receipt["rejected"]) == len(events)
    return receipt


def rejections(receipt: dict[str, Any]) -> list[tuple[int, str]]:
    return [(rejected["index"], rejected["code"]) for rejected in receipt["rejected"]]


def assert_problem(response: Any, status: int, code: str) -> None:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert {"type", "title", "status", "code", "detail"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (status, code)


def assert_nothing_stored() -> None:
    assert not UsageEvent.objects.exists()
    assert not UsageRollup.objects.exists()
    assert not Wallet.objects.filter(debt__gt=0).exists()


def test_a_reported_request_is_stored_counted_and_paid(backend: Client, alice: User) -> None:  # M2 M6
    assert report(backend, sent(alice)) == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert UsageEvent.objects.get().credits == Decimal("0.174")
    assert UsageRollup.objects.count() == 2
    assert_books_balance()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"null",
        b"[]",
        b'"events"',
        b"{}",
        b'{"events": null}',
        b'{"events": {}}',
        b'{"events": [1]}',
        b'{"events": [null]}',
        b'{"events": [[]]}',
        b'{"events": "' + b"x" * 100 + b'"}',
        b"[" * 100_000,
        b'{"events": ' + b'[{"a": ' * 500 + b"1" + b"}]" * 500 + b"}",
        b'{"events": [], "events": 7}',
        b'{"events": NaN}',
        b'{"events": [{"request_id": "\\ud800"}]}',
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_a_body_that_is_no_object_of_events_is_refused_whole(backend: Client, body: bytes) -> None:  # M2
    response = post(backend, body)
    if response.status_code == 200:  # One object nested without end is an event of which nothing is valid.
        assert rejections(response.json()) == [(0, "invalid")]
    else:
        assert_problem(response, 400, "invalid")
    assert_nothing_stored()


def test_one_event_too_many_refuses_them_all(backend: Client, alice: User) -> None:  # M2
    events = [sent(alice, f"r{number}") for number in range(1001)]
    assert_problem(post(backend, {"events": events}), 400, "invalid")
    events[7] = {"no": "event"}
    assert_problem(post(backend, {"events": events}), 400, "invalid")
    assert_nothing_stored()
    del events[7]
    assert report(backend, *events)["accepted"] == 1000


def test_no_events_are_no_work(backend: Client) -> None:
    assert report(backend) == {"accepted": 0, "duplicates": 0, "rejected": []}


def test_a_body_without_end_is_refused_before_it_is_read(backend: Client, alice: User) -> None:
    body = json.dumps({"events": [sent(alice, model="x" * 3_000_000)]})
    assert_problem(post(backend, body), 413, "too_large")
    assert_nothing_stored()


COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
BAD_COUNTS: tuple[object, ...] = (-1, 2**31, 10**30, 1.0, 1.5, True, "7", None, [], {})
BAD_FIELDS: list[dict[str, Any]] = [
    *({field: value} for field in COUNTS for value in BAD_COUNTS),
    *({"request_id": value} for value in ("", "x" * 129, 7, None, "a\0b", "line\nbreak", "\x7f")),
    *({"account": value} for value in (7, None, "x" * 65)),
    *({"model": value} for value in (None, 7, "x" * 101)),
    *({"occurred_at": value} for value in
      ("", "yesterday", "2026-05-10", "2026-05-10T12:00:00", 1778414850, None, "2026-02-30T00:00:00Z",
       "0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "2026-05-10T12:00:00+99:00")),
    {"hold": "00000000-0000-4000-8000-000000000000"},
    {"hold": 7},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_FIELDS, ids=str)
def test_an_event_that_is_not_valid_is_rejected_alone(backend: Client, alice: User, bad: dict[str, Any]) -> None:  # M2
    events = [sent(alice, "good 1"), sent(alice, "bad") | bad, sent(alice, "good 2")]
    receipt = report(backend, *events)
    assert rejections(receipt) == [(1, "invalid")]
    assert receipt["rejected"][0]["detail"].startswith(next(iter(bad)))
    assert set(UsageEvent.objects.values_list("request_id", flat=True)) == {"good 1", "good 2"}
    assert_books_balance()


CACHE = ("cache_read_tokens", "cache_write_tokens")
REQUIRED = [field for field in sent(User(id=uuid.UUID(NOBODY))) if field not in CACHE]


@pytest.mark.parametrize("field", REQUIRED)
def test_an_event_that_lacks_a_field_is_rejected(backend: Client, alice: User, field: str) -> None:  # M2
    incomplete = sent(alice)
    del incomplete[field]
    assert rejections(report(backend, incomplete)) == [(0, "invalid")]
    assert_nothing_stored()


@pytest.mark.parametrize("missing", [CACHE[:1], CACHE[1:], CACHE], ids=str)
def test_an_event_without_cached_tokens_had_none(backend: Client, alice: User, missing: tuple[str, ...]) -> None:  # M2
    """Sent once with zeros and once without, in either order or in one call, it is the same event."""
    zeros = dict.fromkeys(missing, 0)
    whole = [sent(alice, name) | zeros for name in "abc"]
    lacking = [{name: value for name, value in event.items() if name not in missing} for event in whole]
    assert report(backend, lacking[0], whole[1], lacking[2], whole[2])["accepted"] == 3
    again = report(backend, whole[0], lacking[1], lacking[2])
    assert again == {"accepted": 0, "duplicates": 3, "rejected": []}
    for stored in UsageEvent.objects.filter(account=alice.id):
        assert [getattr(stored, field) for field in missing] == list(zeros.values())
    assert rejections(report(backend, lacking[0] | dict.fromkeys(missing, 7))) == [(0, "conflict")]
    assert_books_balance()


def test_every_refusal_names_its_event(backend: Client, alice: User) -> None:  # M1 M2
    receipt = report(
        backend,
        sent(alice, "0 good"),
        sent(alice, "1", account=NOBODY),
        sent(alice, "2", account="no id at all"),
        sent(alice, "3", model="gpt-2"),
        {"request_id": "4"},
        sent(alice, "5", occurred_at=NOW - timedelta(days=7, seconds=1)),
        sent(alice, "6", occurred_at=NOW + timedelta(minutes=5, seconds=1)),
        sent(alice, "0 good"),
        sent(alice, "0 good", input_tokens=7),
        sent(alice, "9 good", occurred_at=NOW - timedelta(days=7)),
        sent(alice, "10 good", occurred_at=NOW + timedelta(minutes=5)),
    )
    assert (receipt["accepted"], receipt["duplicates"]) == (3, 1)
    assert rejections(receipt) == [
        (1, "unknown_account"), (2, "unknown_account"), (3, "unknown_model"), (4, "invalid"), (5, "too_old"),
        (6, "in_future"), (8, "conflict"),
    ]  # fmt: skip
    assert [rejected["request_id"] for rejected in receipt["rejected"]] == ["1", "2", "3", "4", "5", "6", "0 good"]
    assert set(UsageEvent.objects.values_list("request_id", flat=True)) == {"0 good", "9 good", "10 good"}
    assert_books_balance()


def test_fields_nobody_knows_are_passed_over(backend: Client, alice: User) -> None:
    response = post(backend, {"events": [sent(alice, color="red", hold=None)], "sender": "x", "": []})
    assert response.json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_sending_again_changes_nothing(backend: Client, alice: User) -> None:  # M2
    events = [sent(alice, f"r{number}") for number in range(5)]
    report(backend, *events)
    before = (UsageEvent.objects.count(), left(alice))
    zone = sent(alice, "r0", occurred_at="2026-05-10T17:52:30+05:45")
    assert report(backend, *events, *events[::-1], zone) == {"accepted": 0, "duplicates": 11, "rejected": []}
    assert (UsageEvent.objects.count(), left(alice)) == before
    assert_books_balance()


def left(user: User) -> Decimal:
    total: Decimal = Grant.objects.filter(account=user).aggregate(total=Sum("remaining"))["total"]
    return total


def test_a_request_id_belongs_to_its_account(backend: Client, alice: User, charlie: User) -> None:  # M2
    assert report(backend, sent(alice, "same"), sent(charlie, "same", input_tokens=7))["accepted"] == 2
    assert rejections(report(backend, sent(alice, "same", input_tokens=7))) == [(0, "conflict")]
    assert UsageEvent.objects.get(account=alice.id).input_tokens == 1200
    assert_books_balance()


def test_an_account_may_be_spelled_in_capitals(backend: Client, alice: User) -> None:
    assert report(backend, sent(alice), sent(alice, account=str(alice.id).upper())) == {
        "accepted": 1, "duplicates": 1, "rejected": [],
    }  # fmt: skip


def at(seconds: int) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


# Bodies of a faulty backend: events of two accounts under few ids, so that they collide, and all kinds of junk.
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
FIELDS = list(sent(User(id=uuid.UUID(NOBODY))))
CHANGES = st.dictionaries(st.sampled_from([*FIELDS, "hold"]), JUNK, max_size=1) | st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["gpt-5", "gpt-5-mini", "gpt-2"]),
        "input_tokens": st.integers(0, 3) | st.integers(2**31 - 2, 2**31),
        "occurred_at": st.sampled_from([-8 * 86_400, -86_400, 0, 1, 400]).map(at),
        "account": st.just(NOBODY),
    },
)
EVENTS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), CHANGES), max_size=12)


@limits(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(EVENTS, min_size=1, max_size=3))
def test_every_event_is_accounted_for_whatever_is_sent(
    backend: Client, alice: User, charlie: User, calls: list[list[tuple[bool, int, dict[str, Any]]]]
) -> None:  # M2
    for call in calls:
        rows, used = UsageEvent.objects.count(), left_of_both(alice, charlie)
        events = [sent(alice if mine else charlie) | {"request_id": f"r{n}"} | changes for mine, n, changes in call]
        receipt = report(backend, *events)
        assert [index for index, _ in rejections(receipt)] == sorted({index for index, _ in rejections(receipt)})
        assert UsageEvent.objects.count() == rows + receipt["accepted"]
        if not receipt["accepted"]:
            assert left_of_both(alice, charlie) == used
    assert_books_balance()


def left_of_both(*users: User) -> list[Decimal]:
    return [w.debt for w in Wallet.objects.order_by("account_id")] + [g.remaining for g in Grant.objects.order_by("id")]


def test_a_revoked_key_is_no_key(alice: User) -> None:
    key, secret = ServiceKey.objects.issue("backend", scopes=ServiceKey.Scope.values)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    ServiceKey.objects.filter(id=key.id).revoke()
    assert_problem(post(client, {"events": [sent(alice)]}), 401, "invalid_key")
    for path in READING:
        assert_problem(client.get(path, {"account": str(alice.id)}), 401, "invalid_key")
    assert_nothing_stored()


def test_a_key_does_only_what_its_scopes_say(alice: User) -> None:
    reader, writer = backend_with("credits:read"), backend_with("usage:write", "holds:write")
    assert_problem(post(reader, {"events": [sent(alice)]}), 403, "missing_scope")
    assert_nothing_stored()
    assert report(writer, sent(alice))["accepted"] == 1
    for path in READING:
        assert reader.get(path, {"account": str(alice.id)}).status_code == 200
        assert_problem(writer.get(path, {"account": str(alice.id)}), 403, "missing_scope")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer sk_", "Bearer x.y.z", "Basic c2s6c2s=", "Token sk_1", "\xff"],
)
def test_without_a_token_nothing_is_told_or_taken(alice: User, authorization: str | None) -> None:
    client = Client(headers={"Authorization": authorization} if authorization is not None else {})
    for response in (post(client, {"events": [sent(alice)]}), *(client.get(path) for path in READING)):
        assert response.status_code == 401
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert_nothing_stored()


def test_cookies_open_no_door_of_the_api(client: Client, alice: User, sign_in: SignIn) -> None:  # A8
    sign_in(client, alice)
    for response in (post(client, {"events": [sent(alice)]}), *(client.get(path) for path in READING)):
        assert_problem(response, 401, "not_authenticated")
    assert_nothing_stored()


def test_a_customer_reports_no_usage(alice: User) -> None:
    assert_problem(post(customer(alice), {"events": [sent(alice)]}), 403, "permission_denied")
    assert_nothing_stored()


def forged(user: User, key: str, algorithm: str | None, **changes: object) -> str:
    pair = device_sessions.start(user, ip="127.0.0.1", user_agent="tests")
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    return jwt.encode({**claims, **changes}, key, algorithm=algorithm)


@pytest.mark.parametrize(
    ("key", "algorithm", "changes"),
    [
        ("another-key-that-is-long-enough-for-hs256", "HS256", {}),
        ("", "none", {}),
        ("", None, {}),
        (settings.SECRET_KEY, "HS512", {}),
        (settings.SECRET_KEY, "HS256", {"exp": NOW.timestamp() - 1}),
        (settings.SECRET_KEY, "HS256", {"token_type": "refresh"}),
        (settings.SECRET_KEY, "HS256", {"sub": NOBODY}),
        (settings.SECRET_KEY, "HS256", {"sid": NOBODY}),
        (settings.SECRET_KEY, "HS256", {"sid": "x"}),
    ],
    ids=str,
)
def test_a_forged_or_expired_token_is_refused(
    alice: User, key: str, algorithm: str | None, changes: dict[str, object]
) -> None:  # A8
    client = Client(headers={"Authorization": f"Bearer {forged(alice, key, algorithm, **changes)}"})
    for path in READING:
        assert_problem(client.get(path), 401, "invalid_token")


def test_the_right_token_is_taken(alice: User) -> None:
    """Proves that the refusals above are for the reason they name."""
    client = Client(headers={"Authorization": f"Bearer {forged(alice, settings.SECRET_KEY, 'HS256')}"})
    assert client.get("/api/v1/credits").json()["account"] == str(alice.id)


@pytest.fixture
def used(alice: User, charlie: User) -> User:
    """45 requests of alice's and one of charlie's; alice bought ten credits."""
    grants.grant(alice.id, Decimal(10), kind=Grant.Kind.PURCHASED, source_key="buy", now=NOW)
    models = ["claude-sonnet-4-5", "gpt-5", "gpt-5-mini"]
    events = [
        event(alice, f"r{n:02d}", model=models[n % 3], occurred_at=NOW - timedelta(minutes=7 * n), input_tokens=n * 37)
        for n in range(45)
    ]
    recording.record([*events, event(charlie, "his")], now=NOW)
    return alice


def whole_usage(client: Client, **parameters: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page = pages = 1
    while page <= pages:
        answer = client.get("/api/v1/usage", {**parameters, "page": str(page)}).json()
        rows += answer["results"]
        pages, page = answer["pages"], page + 1
    assert len(rows) == answer["count"]
    return rows


def test_credits_add_up_to_the_last_decimal(used: User) -> None:  # C1 M6
    state = customer(used).get("/api/v1/credits").json()
    spent = sum(row.credits for row in UsageEvent.objects.filter(account=used.id))
    assert state == {
        "account": str(used.id),
        "plan": "free",
        "period": {"starts_at": "2026-04-30T09:30:00Z", "ends_at": "2026-05-31T09:30:00Z"},
        "total": "50.000000",
        "used": f"{spent:.6f}",
        "available": f"{60 - spent:.6f}",
        "additional": "10.000000",
        "courtesy": "0.000000",
        "held": "0.000000",
        "debt": "0.000000",
        "as_of": "2026-05-10T12:07:30Z",
    }


def test_usage_pages_and_models_equal_the_rows(used: User) -> None:  # C3 C4
    client = customer(used)
    rows = whole_usage(client)
    stored = list(UsageEvent.objects.filter(account=used.id).order_by("-occurred_at", "-request_id"))
    assert [row["request_id"] for row in rows] == [row.request_id for row in stored]
    assert [row["credits"] for row in rows] == [f"{row.credits:.6f}" for row in stored]
    models = client.get("/api/v1/usage/models").json()
    assert models["total"]["requests"] == 45
    for figure in COUNTS:
        assert models["total"][figure] == sum(row[figure] for row in rows)
        assert models["total"][figure] == sum(model[figure] for model in models["results"])
    total = sum(row.credits for row in stored)
    assert Decimal(models["total"]["credits"]) == total
    assert sum(Decimal(model["credits"]) for model in models["results"]) == total


def test_usage_follows_from_to_and_model(used: User) -> None:  # C5
    client = customer(used)
    span = {"from": "2026-05-10T10:00:00+02:00", "to": "2026-05-10T11:30:00Z"}
    start, end = datetime(2026, 5, 10, 8, tzinfo=UTC), datetime(2026, 5, 10, 11, 30, tzinfo=UTC)
    wanted = UsageEvent.objects.filter(account=used.id, occurred_at__gte=start, occurred_at__lt=end)
    assert 20 < wanted.count() < 45
    assert len(whole_usage(client, **span)) == wanted.count()
    assert len(whole_usage(client, **span, model="gpt-5")) == wanted.filter(model__name="gpt-5").count() > 0
    assert client.get("/api/v1/usage/models", span).json()["total"]["requests"] == wanted.count()
    assert len(whole_usage(client, **{"from": "2026-05-10", "to": "2026-05-10"})) == 45
    assert whole_usage(client, **{"from": "2026-05-11", "to": "2026-05-11"}) == []
    assert whole_usage(client, model="no such model") == []


@pytest.mark.parametrize("page", ["0", "-1", "999999999", "9" * 400, "x", "1.5", "4", "", "１"])
def test_a_page_that_does_not_exist_is_said_to(used: User, page: str) -> None:
    response = customer(used).get("/api/v1/usage", {"page": page})
    if page == "１":
        assert response.status_code in {200, 404}
    else:
        assert_problem(response, 404, "invalid_page")


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "text",
    ["garbage", "2026-05-10T12:00:00", "2026-13-01", "2026-02-30", "0001-01-01", "9999-12-31", "1778414850", "\0",
     "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-05-10T25:00:00Z", "२०२६-०५-१०T", "-2026-01-01"],
)  # fmt: skip
def test_a_span_that_makes_no_sense_is_refused(used: User, name: str, text: str) -> None:
    for path in ("/api/v1/usage", "/api/v1/usage/models"):
        assert_problem(customer(used).get(path, {name: text}), 400, "invalid")


def test_a_span_that_ends_before_it_starts_is_refused(used: User) -> None:
    span = {"from": "2026-05-11", "to": "2026-05-10T00:00:00Z"}
    for path in ("/api/v1/usage", "/api/v1/usage/models"):
        assert_problem(customer(used).get(path, span), 400, "invalid")


def test_models_and_ids_of_any_bytes_are_only_not_found(used: User) -> None:
    client = customer(used)
    assert_problem(client.get("/api/v1/usage", {"model": "\0"}), 400, "invalid")
    for text in ("' OR 1=1 --", "x" * 5000, "%s", "{model}"):
        response = client.get("/api/v1/usage", {"model": text})
        assert response.json() == {"count": 0, "page": 1, "pages": 1, "results": []}, text


def test_a_customer_never_reads_another_account(used: User, charlie: User) -> None:  # B10
    stranger = customer(charlie)
    for path in READING:
        asked = stranger.get(path, {"account": str(used.id)})
        assert asked.content == stranger.get(path).content
        assert str(used.id) not in asked.content.decode()
    assert [row["request_id"] for row in whole_usage(stranger, account=str(used.id))] == ["his"]


@pytest.mark.parametrize(
    ("start", "end"),
    [(timedelta(hours=70, minutes=3), timedelta(minutes=1)), (timedelta(minutes=95), timedelta(minutes=1)),
     (timedelta(minutes=9), timedelta(minutes=1)), (timedelta(days=4), timedelta(days=-1))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("model", [None, "gpt-5"])
def test_a_neighbour_s_requests_of_the_same_minutes_count_nowhere(
    alice: User, charlie: User, start: timedelta, end: timedelta, model: str | None
) -> None:  # B10 C3 C4
    """Each part of a span (days, quarters, single requests) names one account."""
    moments = [NOW - timedelta(minutes=23 * number) for number in range(180)]
    moments += [NOW - timedelta(minutes=2)] * 45 + [NOW - timedelta(hours=70)] * 45
    for who, name in ((alice, "hers"), (charlie, "his")):
        events = [
            event(who, f"{name}{n:04d}", occurred_at=moment, model=["gpt-5", "gpt-5-mini"][n % 2])
            for n, moment in enumerate(moments)
        ]
        recording.record(events, now=NOW)
    span = {"from": (NOW - start).isoformat(), "to": (NOW - end).isoformat(), **({"model": model} if model else {})}
    wanted = UsageEvent.objects.filter(account=alice.id, occurred_at__gte=NOW - start, occurred_at__lt=NOW - end)
    if model:
        wanted = wanted.filter(model__name=model)
    ids = list(wanted.order_by("-occurred_at", "-request_id").values_list("request_id", flat=True))
    assert [row["request_id"] for row in whole_usage(customer(alice), **span)] == ids
    sums = customer(alice).get("/api/v1/usage/models", span).json()["results"]
    assert sum(row["requests"] for row in sums if model in (None, row["model"])) == len(ids) > 0


def test_a_service_key_reads_the_account_it_names(backend: Client, used: User, charlie: User) -> None:
    for path in READING:
        own, asked = customer(used).get(path), backend.get(path, {"account": str(used.id)})
        assert asked.json() == own.json()
        assert_problem(backend.get(path), 400, "invalid")
        assert_problem(backend.get(path, {"account": "x"}), 400, "invalid")
        assert_problem(backend.get(path, {"account": NOBODY}), 404, "unknown_account")
    assert len(whole_usage(backend, account=str(charlie.id))) == 1


def test_an_account_that_never_used_anything_reads_zeros(charlie: User) -> None:
    client = customer(charlie)
    assert client.get("/api/v1/credits").json()["available"] == "50.000000"
    assert client.get("/api/v1/usage").json() == {"count": 0, "page": 1, "pages": 1, "results": []}
    models = client.get("/api/v1/usage/models").json()
    assert models["results"] == []
    assert models["total"]["credits"] == "0.000000"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("path", READING)
def test_other_methods_are_refused(backend: Client, method: str, path: str) -> None:
    assert_problem(getattr(backend, method)(path), 405, "method_not_allowed")


def test_the_description_asks_for_the_fields_that_an_event_needs(client: Client) -> None:
    event = client.get("/api/v1/openapi.json").json()["components"]["schemas"]["Event"]
    assert set(event["required"]) == set(REQUIRED)
    assert {name for name, member in event["properties"].items() if member.get("default") == 0} == set(CACHE)
