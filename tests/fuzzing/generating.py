"""Requests made by chance. A seed and a number always make the same one of the same world."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.fuzzing.exchange import HOST, Sent
from tests.fuzzing.world import CSRF, World, arguments_of, filled, values_for

METHODS = ["GET"] * 25 + ["POST"] * 35 + ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW", "ÜBER"]
CHARSETS = [
    "utf-8", "UTF-8", "utf8", "utf-16", "utf-7", "idna", "punycode", "iso-8859-1", "us-ascii", "base64", "zip", "hex",
    "rot13", "unicode_escape", "undefined", "mbcs", "nothing", "", "\0", "ü", "x" * 300,
]  # fmt: skip
KINDS = [
    "", ";", "a;" * 6000, "ü", "multipart/mixed; boundary=b", "x/y; z*=idna''%ff", "x/y; z*=nothing''%ff",
    "x/y; charset*=utf-8''%00", "application/x-www-form-urlencoded; charset=utf-8; charset=idna",
    'application/json; charset="', "multipart/form-data; boundary*=idna''%ff",
]  # fmt: skip
BOUNDARIES = ["; boundary=b"] * 6 + [
    "",
    "; boundary",
    "; boundary=",
    "; boundary=" + "b" * 400,
    "; boundary=\xfc",
    "; boundary=\0",
    '; boundary="b',
]
DISPOSITIONS = [
    'name="a"', 'name="a\0b"', 'name=""', "name", "", 'name="images"; filename="a\0.png"',
    'name="images"; filename=""', "name=images; filename*=utf-16''%00", "name=images; filename*=idna''%ff",
    "name=images; filename*=x''a", "name*=idna''%ff", "name=images; filename*=utf-8''%ed%a0%80",
    "name=images; filename*=utf-8''%00", "name=images; filename=" + "x" * 5000,
]  # fmt: skip
PART_KINDS = ["text/plain", "image/png", "image/png; charset=idna", "text/plain; charset=\0", "", ";", "x*=idna''%ff"]
COOKIES = [
    "theme",
    "messages",
    "sidekick_flow",
    "sidekick_device",
    "sidekick_access",
    "sidekick_refresh",
    "csrftoken",
    "",
]
NULS = ["\0", '"\\000"', '"a\\000b"', "%00"]
MEMBERS = [
    "email", "password", "refresh", "code", "account", "request_id", "model", "occurred_at", "input_tokens",
    "output_tokens", "cache_write_tokens", "max_output_tokens", "hold", "events",
]  # fmt: skip
# Weights of `World.addresses_in`, in its order: the admin, /accounts/, /dashboard/, the API, any other.
SHARES = [35, 20, 25, 10, 10]
# Already quoted, as they stand in an address.
ODD_SEGMENTS = [
    "_00", "%ed%a0%80", "%FF%FE", "%", "%zz", "%2e%2e", "..", ".", "/", "//evil.example", "%5Cevil.example",
    "/%5C/evil.example", "-1", "0", "9" * 30, "1e9", "%0d%0aX:y", "%f0%9f%98%80", "%E2%80%AE", "'", "%22", "a" * 300,
    "None", "add", "00000000-0000-0000-0000-000000000000", "_2F", "%25%30%30",
]  # fmt: skip
ODD_TEXTS = [
    "", " ", "￿", "‮", "\r\nSet-Cookie: a=b", "é", "😀" * 9, "x" * 300, "-1", "0", "1", "1e2", "9" * 40, "NaN",
    "Infinity", "1.5", "٣", "1_000", "2026-05-10", "9999-12-31", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "null", "true", "[]", "{}", '{"a": "\\u0000"}', "[" * 200, "(", "%", "%00", "__",
    "a__b", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example/x",
    "http:///evil.example", "/%5Cevil.example", "/\t/evil.example", " //evil.example", "javascript:alert(1)",
    "http://[", "http://testserver//evil.example", "http://testserver/\\evil.example", " /dashboard",
    "/dashboard/credits", "<script>", "' OR 1=1 --", "alice@example.com", "ALICE@EXAMPLE.COM", "a@b",
    "a" * 400 + "@example.com", "on", "00000000-0000-0000-0000-000000000000", "txn_1",
]  # fmt: skip
FIELDS = [
    "next", "theme", "page", "from", "to", "model", "sort", "range", "q", "o", "p", "e", "all", "_popup",
    "_to_field", "_facets", "_changelist_filters", "kind", "before", "skip", "account", "code", "email", "login",
    "password", "action", "_selected_action", "index", "select_across", "reason", "back", "token", "keep", "images",
    "priority", "credential", "id", "state", "error", "_ptxn", "format", "strict", "plan", "amount", "quantity",
    "app_label", "model_name", "field_name", "term", "time_zone", "key", "uid", "process",
]  # fmt: skip
COLUMNS = ["id", "created_at", "status", "kind", "is_active", "account", "plan", "model", "user", "priority", "due_at"]
LOOKUPS = [
    "", "__exact", "__in", "__range", "__regex", "__gte", "__lt", "__isnull", "__year", "__isempty", "__contains",
    "__id__exact", "__email__startswith", "__date__year__gt", "__",
]  # fmt: skip
HEADERS = [
    "HX-Request", "HX-Boosted", "HX-Target", "HX-Current-URL", "HX-History-Restore-Request", "HX-Trigger", "Referer",
    "Origin", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-ID", "Accept",
    "Accept-Language", "User-Agent", "If-None-Match", "If-Modified-Since", "Range", "X-CSRFToken",
    "Transfer-Encoding", "Authorization", "Paddle-Signature", "Sidekick-Poll", "X-HTTP-Method-Override", "Cookie2",
]  # fmt: skip
ADDRESSES = [
    f"http://{HOST}/dashboard/credits",
    f"http://{HOST}/",
    "true",
    "*/*",
    "text/html",
    "application/json",
    "bytes=0-",
]


def request(world: World, seed: int, number: int) -> Sent:
    """The request with this number: like one of a browser or a program, but for some values, and now and then worse."""
    dice = Random(f"{seed}:{number}")
    address = dice.choice(world.addresses_in[dice.choices(list(world.addresses_in), SHARES)[0]])
    method = dice.choice(METHODS)
    headers = _headers(dice)
    body, media_type = b"", ""
    if method == "POST" or dice.random() < 0.05:
        write = dice.choices([_urlencoded, _multipart, _json], [2, 2, 6] if address.startswith("api/") else [6, 3, 1])[
            0
        ]
        body, media_type = write(dice, _fields(dice, world, address))
        headers["Content-Type"] = media_type
    if address.startswith("api/") and dice.random() < 0.9:
        headers["Authorization"] = f"Bearer {dice.choice(world.bearers)}"
    if dice.random() < 0.95:
        headers.setdefault("X-CSRFToken", CSRF)
    headers["Cookie"] = _cookie(dice, world.cookies[_caller(dice, world, address)])
    target = _target(dice, world, address)
    sent = Sent(method, target, {name: as_header(value) for name, value in headers.items()}, body)
    return worse(dice, sent) if dice.random() < 0.15 else sent


def _caller(dice: Random, world: World, address: str) -> str:
    likely = {"admin": "operator", "dashboard": "customer"}.get(address.partition("/")[0])
    return likely if likely and dice.random() < 0.8 else dice.choice(list(world.cookies))


def _target(dice: Random, world: World, address: str) -> str:
    odd = dice.random() < 0.2
    values = {
        name: dice.choice(ODD_SEGMENTS if odd else values_for(world, address, name)) for name in arguments_of(address)
    }
    path = filled(address, values)
    if dice.random() < 0.03:
        path = dice.choice(
            [path + dice.choice(ODD_SEGMENTS), f"/{dice.choice(ODD_SEGMENTS)}{path}", path.rstrip("/"), path + "/"]
        )
    return path + (f"?{_query(dice, world, address)}" if dice.random() < 0.5 else "")


def _query(dice: Random, world: World, address: str) -> str:
    names = dice.choices([*FIELDS, *list(world.forms.get(address, {})) * 9], k=dice.randint(0, 3))
    if address.startswith("admin/"):
        names += [dice.choice(COLUMNS) + dice.choice(LOOKUPS) for _ in range(dice.choice([0, 1, 1, 1, 2, 30]))]
    return urlencode([(name, _value(dice, world, name)) for name in names], errors="replace")


def _fields(dice: Random, world: World, address: str) -> list[tuple[str, str]]:
    """Those of the address's own form, some of them odd, and a few of other forms."""
    own = list(world.forms.get(address, {}).items())
    fields = [
        (name, _value(dice, world, name) if dice.random() < 0.25 else value)
        for name, value in own
        if dice.random() < 0.95
    ]
    fields += [(name, _value(dice, world, name)) for name in dice.choices(FIELDS, k=dice.choice([0, 0, 1, 3]))]
    return [(name, CSRF if name == "csrfmiddlewaretoken" else value) for name, value in fields]


def _value(dice: Random, world: World, name: str) -> str:
    return dice.choice(world.known.get(name, ODD_TEXTS) if dice.random() < 0.2 else ODD_TEXTS)


def _urlencoded(dice: Random, fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    return urlencode(fields, errors="replace").encode(), "application/x-www-form-urlencoded"


def _multipart(dice: Random, fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    parts = [_part(f'name="{name}"', value) for name, value in fields]
    for _ in range(dice.choice([0, 0, 1, 2])):
        name = dice.choice(["a.png", "", "..", "ü.png", "x" * 400, "a\r\nb", "/etc/passwd", '"'])
        parts.append(_part(f'name="images"; filename="{name}"', "\x89PNG", "Content-Type: image/png\r\n"))
    return ("".join(parts) + "--b--\r\n").encode(errors="replace"), "multipart/form-data; boundary=b"


def _part(disposition: str, value: str, more: str = "") -> str:
    return f"--b\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n{value}\r\n"


def _json(dice: Random, fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    values: list[Any] = [*ODD_TEXTS, 1, -1, 1.5, 2**70, None, True, [], {}, [{}], "\0", "\ud800"]
    found: Any = {name: dice.choice(values) for name in dice.choices(MEMBERS, k=5)}
    if dice.random() < 0.4:
        found = {"events": [{**found, "cache_read_tokens": 0}] * dice.choice([1, 2, 1001])}
    text = dice.choice(
        [json.dumps(found)] * 8 + ["", "[", "[" * 90_000, "NaN", "1e999", '"\\ud800"', "\ufeff{}", "null"]
    )
    return text.encode(errors="surrogatepass"), "application/json"


def _headers(dice: Random) -> dict[str, str]:
    names = dice.choices(HEADERS, k=dice.choice([0, 0, 1, 2, 4]))
    return {name: dice.choice([*ODD_TEXTS, *ADDRESSES, *ADDRESSES]) for name in names}


def _cookie(dice: Random, pairs: dict[str, str]) -> str:
    shown = dict(pairs)
    if dice.random() < 0.1:
        names = [*pairs, "theme", "messages", "sidekick_flow", "sidekick_device", "sidekick_access", "", "notices"]
        shown[dice.choice(names)] = dice.choice([*ODD_TEXTS, '"\\377"', "a.b.c", "x" * 4000])
    return "; ".join(f"{name}={value}" for name, value in shown.items())


def as_header(text: str) -> str:
    """The text as a server hands it on: its bytes as Latin-1. Servers refuse NUL and ends of lines themselves."""
    return text.encode(errors="surrogatepass").decode("latin-1")


def worse(dice: Random, sent: Sent) -> Sent:
    """The request with one thing in it that no browser sends."""
    kind, headers = sent.headers.get("Content-Type", "text/plain"), dict(sent.headers)
    joint = "&" if "?" in sent.target else "?"
    form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    multipart = {**headers, "Content-Type": f"multipart/form-data{dice.choice(BOUNDARIES)}"}
    part = _part(dice.choice(DISPOSITIONS), "x", f"Content-Type: {dice.choice(PART_KINDS)}\r\n")
    many = dice.choice(["a=1&", "a&", "&", "created_at__gte=x&", "q=1&"]) * dice.choice([400, 999, 1000, 1001])
    return dice.choice(
        [
            replace(sent, headers={**headers, "Content-Type": f"{kind}; charset={as_header(dice.choice(CHARSETS))}"}),
            replace(sent, headers={**headers, "Content-Type": as_header(dice.choice(KINDS))}),
            replace(
                sent, headers={**headers, "Content-Length": dice.choice(["-1", "x", "1_0", "9" * 30, "1,1", " 5", "٣"])}
            ),
            replace(
                sent,
                headers={
                    **headers,
                    "Host": as_header(dice.choice(["evil.example", "", "a b", "[", "testserver:x", "ü"])),
                },
            ),
            replace(sent, headers={**headers, dice.choice(HEADERS): dice.choice(["\0", "a\0b"])}),
            replace(
                sent, headers={**headers, "Cookie": f"{headers['Cookie']}; {dice.choice(COOKIES)}={dice.choice(NULS)}"}
            ),
            replace(sent, target=sent.target + joint + f"{dice.choice(FIELDS)}={dice.choice(ODD_SEGMENTS)}"),
            replace(sent, target=sent.target + joint + dice.choice(["a=%00", "%00=1", "q=a%00", "\0", "next=%00/"])),
            replace(sent, target=sent.target.replace("/", dice.choice(["/%00", "/a%00/", "//", "/%2f"]), 2)),
            replace(sent, target=sent.target + joint + many),
            replace(sent, target=sent.target + joint + "next=/" + "a" * dice.choice([1900, 4000, 9000])),
            replace(sent, target="/" + dice.choice(ODD_SEGMENTS) * dice.choice([1, 30])),
            replace(sent, method="POST", headers=form, body=sent.body + b"&" + many.encode()),
            replace(
                sent,
                method="POST",
                headers=form,
                body=sent.body + b"&" + dice.choice([b"a=%00", b"%00=1", b"login=%00", b"\0", b"%ff=%fe"]),
            ),
            replace(sent, method="POST", headers=form, body=dice.randbytes(500)),
            replace(
                sent,
                method="POST",
                headers=multipart,
                body=(part * dice.choice([1, 2, 120, 1001])).encode() + b"--b--\r\n",
            ),
            replace(
                sent, method="POST", headers=multipart, body=as_header(part).encode("latin-1")[: dice.randint(0, 90)]
            ),
            replace(sent, method="POST", body=b"a=" + b"x" * 2_700_000),
        ]
    )
