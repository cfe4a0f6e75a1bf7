"""Requests that no browser sends get a page, or a problem, that says so; and no line in the log is an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import Client

from sidekick.logs import JsonLines, Refusals
from sidekick.web.malformed import ReadableRequest
from tests.conftest import make_user
from tests.fuzzing.exchange import Got, Sent, ask, one_connection

pytestmark = pytest.mark.django_db
CSRF = "c" * 32
COOKIE = f"csrftoken={CSRF}"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
CHARSETS = ["utf-16", "idna", "punycode", "iso-8859-1", "us-ascii", "utf-7", "base64", "zip", "nothing", "", "\0", "ü"]
Send = Callable[..., Got]


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The log of production, from WARNING on."""
    found: list[str] = []
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(Refusals())
    handler.emit = lambda record: found.append(handler.format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def send(lines: list[str]) -> Iterator[Send]:
    """Sends a request as granian would; a form has its CSRF token unless told otherwise."""
    application = WSGIHandler()
    application.request_class = ReadableRequest

    def send(method: str, target: str, kind: str = "", body: bytes = b"", **headers: str) -> Got:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"Cookie": COOKIE, "X-CSRFToken": CSRF, **({"Content-Type": kind} if kind else {}), **given}
        return ask(application, Sent(method, target, sent, body))

    with one_connection():
        yield send


def refused(got: Got, lines: list[str], status: int = 400) -> None:
    """A page of ours, or a problem, with this status; and no error in the log."""
    assert got.status == status
    if got.media_type == "application/problem+json":
        assert json.loads(got.body)["status"] == status
    else:
        assert "css/tokens.css" in got.text
        assert f'<p class="fault-code">{status}</p>' in got.text
        assert "frame-ancestors 'none'" in got.header("Content-Security-Policy")
        assert got.header("X-Content-Type-Options") == "nosniff"
    assert got.header("X-Request-ID")
    for line in map(json.loads, lines):
        assert line["level"] in {"warning", "info"}, line
        assert "error" not in line, line


# Charsets


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/accounts/login/", FORM), ("POST", "/theme", "multipart/form-data; boundary=b"),
        ("GET", "/pricing", FORM), ("GET", "/pricing?a=b", "text/plain"), ("POST", "/api/v1/auth/token", JSON),
        ("POST", "/webhooks/paddle", JSON), ("POST", "/nowhere", FORM),
    ],
)  # fmt: skip
def test_no_other_charset_than_utf_8_is_read(
    send: Send, lines: list[str], method: str, path: str, kind: str, charset: str
) -> None:
    got = send(method, path, f"{kind}; charset={charset.encode().decode('latin-1')}", b"a=b")
    refused(got, lines)


@pytest.mark.parametrize("kind", ["x/y; z*=idna''%ff", "x/y; z*=nothing''%ff", "x/y; charset*=utf-8''%00"])
def test_a_content_type_that_cannot_be_read_is_refused(send: Send, lines: list[str], kind: str) -> None:
    refused(send("GET", "/pricing", kind), lines)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"', "U8"])
def test_utf_8_is_read_by_any_of_its_names(send: Send, charset: str) -> None:
    got = send("POST", "/theme", f"{FORM}; charset={charset}", b"theme=dark&next=/pricing?a=%C3%BC")
    assert (got.status, got.header("Location")) == (302, "/pricing?a=%C3%BC")


# Sizes


@pytest.mark.parametrize("kind", ["", f"{FORM}; charset=utf-8"])
def test_a_query_of_more_than_a_thousand_fields_is_refused(send: Send, lines: list[str], kind: str) -> None:
    for path in ("/pricing", "/dashboard/credits", "/api/v1/usage", "/nowhere", "/accounts/login/", "/admin/"):
        refused(send("GET", f"{path}?{'a&' * 1000}", kind), lines)
    assert send("GET", f"/pricing?{'a&' * 999}", kind).status == 200


def test_a_form_of_more_than_a_thousand_fields_is_refused(send: Send, lines: list[str]) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    for path in ("/accounts/login/", "/theme", "/dashboard/feedback"):
        refused(send("POST", path, FORM, b"a=b&" * 1001), lines)
        refused(send("POST", path, "multipart/form-data; boundary=b", part * 1003 + b"--b--\r\n"), lines)


def test_a_form_of_more_than_a_hundred_files_is_refused(send: Send, lines: list[str]) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nb\r\n'
    refused(send("POST", "/theme", "multipart/form-data; boundary=b", part * 101 + b"--b--\r\n"), lines)


def test_a_body_that_is_too_large_is_said_to_be(send: Send, lines: list[str]) -> None:
    large = b"a=" + b"x" * 2_700_000
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    refused(send("POST", "/theme", FORM, large), lines, 413)
    refused(send("POST", "/theme", "multipart/form-data; boundary=b", part + large), lines, 413)


@pytest.mark.parametrize("length", ["-1", "x", "1_0", "9" * 5000, "1,1", "\u0663"])
def test_a_length_that_is_no_number_is_refused(send: Send, lines: list[str], length: str) -> None:
    for path in ("/theme", "/api/v1/auth/token", "/webhooks/paddle", "/nowhere"):
        refused(send("POST", path, FORM, b"a=b", Content_Length=length), lines)


def test_an_address_that_is_too_long_is_said_to_be(send: Send, lines: list[str]) -> None:
    refused(send("GET", "/" + "a" * 8_000), lines, 414)
    refused(send("GET", "/pricing?a=" + "a" * 8_000), lines, 414)
    refused(send("GET", "/" + "a" * 7_000), lines, 404)


def test_the_way_back_from_sign_in_is_left_out_where_a_link_would_be_too_long(send: Send) -> None:
    got = send("GET", "/dashboard/credits?model=" + "a" * 3_000)
    assert (got.status, got.header("Location")) == (302, "/accounts/login/?next=%2Fdashboard%2Fcredits")


# Forms that cannot be read


@pytest.mark.parametrize("boundary", ["", "; boundary", "; boundary=", "; boundary=" + "b" * 201, "; boundary=\xfc"])
def test_a_form_without_a_usable_boundary_is_refused(send: Send, lines: list[str], boundary: str) -> None:
    refused(send("POST", "/theme", f"multipart/form-data{boundary}", b"--b--\r\n"), lines)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("multipart/form-data; boundary=", b"--b--\r\n"), ("multipart/form-data", b"x"), (FORM, b"a=b&" * 1001),
     (FORM, b"a=" + b"x" * 2_700_000), (FORM, b"a=%00")],
)  # fmt: skip
def test_a_body_for_an_address_that_is_none_is_not_read(send: Send, lines: list[str], kind: str, body: bytes) -> None:
    refused(send("POST", "/nowhere", kind, body), lines, 404)
    refused(send("POST", "/api/v1/nowhere", kind, body), lines, 404)


def test_a_form_without_the_token_is_refused_before_its_body_is_read(
    send: Send, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(stream: BytesIO, *_: int) -> bytes:
        raise AssertionError("the body was read")

    monkeypatch.setattr("django.core.handlers.wsgi.LimitedStream.read", never)
    refused(send("POST", "/theme", FORM, b"a=%00", Cookie="", X_CSRFToken=""), lines, 403)


# NUL


@pytest.mark.parametrize(
    "target",
    ["/%00", "/dashboard%00", "/static/%00", "/pricing?%00=1", "/pricing?a=b%00", "/dashboard/feedback/reports/%00",
     "/accounts/login/?next=/%00", "/accounts/confirm-email/%00/", "/emails/stop/%00", "/api/v1/usage?model=%00",
     "/api/v1/holds/%00", "/webhooks/paddle?%00", "/dev/mail/%00"],
)  # fmt: skip
def test_nul_in_an_address_is_refused(send: Send, lines: list[str], target: str) -> None:
    refused(send("GET", target), lines)


@pytest.mark.parametrize(
    "name", ["User_Agent", "Referer", "HX_Target", "Authorization", "X_Forwarded_For", "Content_Type"]
)
def test_nul_in_a_header_is_refused(send: Send, lines: list[str], name: str) -> None:
    refused(send("GET", "/pricing", **{name: "a\0b"}), lines)


@pytest.mark.parametrize("value", ["a\0b", '"\\000"', '"a\\000b"'])
@pytest.mark.parametrize("name", ["sidekick_flow", "theme", "csrftoken", "sidekick_access", "messages"])
def test_nul_in_a_cookie_is_refused(send: Send, lines: list[str], name: str, value: str) -> None:
    """A session's key is looked up in PostgreSQL, and a quoted cookie may spell NUL out."""
    refused(send("GET", "/accounts/login/", Cookie=f"{name}={value}"), lines)


@pytest.mark.parametrize(
    ("kind", "body"),
    [(FORM, b"login=%00"), (FORM, b"%00=a"), (FORM, b"a=b\0"), (FORM, b"next=/a%00"),
     ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\0\r\n--b--\r\n'),
     ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a\0"\r\n\r\nb\r\n--b--\r\n')],
)  # fmt: skip
def test_nul_in_a_form_is_refused(send: Send, lines: list[str], kind: str, body: bytes) -> None:
    for path in ("/accounts/login/", "/accounts/signup/", "/theme", "/dashboard/feedback", "/admin/login/"):
        refused(send("POST", path, kind, body), lines)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"])
def test_nul_and_half_characters_in_json_are_refused(send: Send, lines: list[str], text: str) -> None:
    for path in ("token", "refresh", "logout"):
        body = json.dumps(dict.fromkeys(("email", "password", "code", "refresh"), text)).encode()
        refused(send("POST", f"/api/v1/auth/{path}", JSON, body), lines)


def test_operators_addresses_and_searches_with_nul_are_refused(
    client: Client, sign_in: Callable[..., None], send: Send, lines: list[str]
) -> None:
    sign_in(client, make_user("boss@example.com", is_staff=True, is_superuser=True))
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    for target in (
        "credits/plan/%00/change/",
        "billing/transaction/?q=%00",
        "find?q=%00",
        "r/1/%00/",
        "accounts/user/?%00=1",
    ):
        refused(send("GET", f"/admin/{target}", Cookie=cookie), lines)


# Error pages


def test_a_swap_that_is_refused_becomes_a_toast(send: Send) -> None:  # N7
    got = send("GET", "/dashboard/credits?q=%00", HX_Request="true")
    assert got.status == 400
    assert got.header("HX-Retarget") == "#toasts"
    assert got.text.startswith('<div class="toast toast-error">')


@pytest.mark.parametrize("host", ["evil.example", "a b", "[", "testserver:x", ""])
def test_a_host_that_is_not_ours_is_no_error_of_ours(send: Send, lines: list[str], host: str) -> None:
    refused(send("GET", "/pricing", Host=host), lines)
