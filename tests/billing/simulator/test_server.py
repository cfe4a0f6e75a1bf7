"""The simulator from outside: by HTTP, as a process, and never from another machine."""

from __future__ import annotations

import ast
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from billing.simulator.server import Server
from billing.simulator.world import World
from tests.billing.simulator.shop import KEY, LINK, SECRET, Shop, fetch

ROOT = Path(__file__).parents[3]
AUTH = {"Authorization": f"Bearer {KEY}"}
HOUSE = {"sidekick", "credits", "feedback", "dashboard", "billing"}


def api(served: Server, method: str, path: str, body: Any = None) -> tuple[int, Any, dict[str, str]]:
    data = None if body is None else json.dumps(body).encode()
    status, raw, headers = fetch(f"{served.url}{path}", data=data, method=method, headers=AUTH)
    return status, json.loads(raw) if raw else None, headers


def test_it_imports_nothing_of_the_house() -> None:
    for path in (ROOT / "billing" / "simulator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in HOUSE or name.startswith("billing.simulator"), f"{path}: {name}"


def test_it_listens_on_this_machine_only() -> None:  # P7
    world = World(api_key=KEY, secret=SECRET, payment_link=LINK)
    for host in ("0.0.0.0", "", "localhost", "192.168.0.1", "::"):  # noqa: S104
        with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
            Server(world, host=host)
    with Server(world) as served:
        assert served.url == f"http://127.0.0.1:{served.port}"


@pytest.mark.parametrize(("key", "secret"), [("", "s"), ("k", "")])
def test_it_needs_a_key_and_a_secret(key: str, secret: str) -> None:
    with pytest.raises(ValueError, match="key and a secret"):
        World(api_key=key, secret=secret, payment_link=LINK)


def test_the_api_speaks_json_and_keeps_the_connection(served: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    for _ in range(3):
        connection.request("GET", "/event-types", headers=AUTH)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")
        assert json.loads(answer.read())["meta"]["request_id"]
    connection.close()


def test_page_links_lead_to_the_address_that_was_asked(shop: Shop, served: Server) -> None:
    _, answer, _ = api(served, "GET", "/prices?per_page=2")
    following = answer["meta"]["pagination"]["next"]
    assert following.startswith(served.url)
    status, _, _ = fetch(following, headers=AUTH)
    assert status == 200


def test_a_created_thing_is_201_a_deleted_one_204(shop: Shop, served: Server) -> None:
    assert api(served, "POST", "/customers", {"email": "a@example.com"})[0] == 201
    setting = shop.world.subscribe("http://localhost:9/")
    assert api(served, "DELETE", f"/notification-settings/{setting['id']}")[:2] == (204, None)


def test_an_action_without_a_body_takes_its_defaults(shop: Shop, served: Server) -> None:
    subscription = shop.subscribe()
    status, answer, _ = api(served, "POST", f"/subscriptions/{subscription}/cancel")
    assert (status, answer["data"]["scheduled_change"]["action"]) == (200, "cancel")


def test_what_is_no_json_or_too_large_is_refused(served: Server) -> None:
    status, raw, _ = fetch(f"{served.url}/customers", data=b"{email", headers=AUTH)
    assert (status, json.loads(raw)["error"]["code"]) == (400, "bad_request")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    connection.putrequest("POST", "/customers")
    connection.putheader("Content-Length", "99999999999")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_many_callers_at_once_lose_nothing(shop: Shop, served: Server) -> None:
    def work(number: int) -> None:
        for step in range(10):
            assert api(served, "POST", "/customers", {"email": f"{number}-{step}@example.com"})[0] == 201

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shop.world.state.customers.rows()) == 80
    identifiers = [row["id"] for row in shop.world.state.customers.rows()]
    assert identifiers == sorted(set(identifiers))


def test_a_change_waits_for_the_one_before_it(shop: Shop) -> None:
    done = threading.Event()

    def work() -> None:
        shop.customer()
        done.set()

    with shop.world.changing():
        thread = threading.Thread(target=work)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(5)
    thread.join()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8000"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_foreign_page_presses_no_button(shop: Shop, served: Server, headers: dict[str, str]) -> None:
    subscription, made = shop.subscribe(), shop.order("credit", 10)
    body = urlencode({"id": subscription, "card": "good"}).encode()
    for path in ("/panel/cancel", f"/checkout/{made['id']}/pay"):
        assert fetch(f"{served.url}{path}", data=body, headers=headers)[0] == 403
    assert shop.get(f"/subscriptions/{subscription}")["status"] == "active"
    assert shop.get(f"/transactions/{made['id']}")["status"] == "draft"


def test_a_foreign_name_reads_nothing(shop: Shop, served: Server) -> None:
    for path in ("/", f"/checkout/{shop.order('credit', 10)['id']}", "/customers"):
        assert fetch(f"{served.url}{path}", headers=AUTH | {"Host": f"evil.example:{served.port}"})[0] == 403


def test_the_panels_own_page_presses_its_buttons(shop: Shop, served: Server) -> None:
    subscription = shop.subscribe()
    body = urlencode({"id": subscription, "section": "subscriptions"}).encode()
    for origin in (served.url, f"http://localhost:{served.port}"):
        host = origin.removeprefix("http://")
        headers = {"Origin": origin, "Host": host, "Sec-Fetch-Site": "same-origin"}
        status, _, answer = fetch(f"{served.url}/panel/fail", data=body, headers=headers)
        assert (status, answer["Location"]) == (303, "/#subscriptions")
    assert shop.world.state.memory.backstage[subscription]["card"] == "fails"


def arguments(port: int, state: Path, **changes: str) -> list[str]:
    given = {"--port": str(port), "--api-key": KEY, "--secret": SECRET, "--payment-link": LINK, "--state": str(state)}
    pairs = [
        part for pair in (given | {f"--{name}": value for name, value in changes.items()}).items() for part in pair
    ]
    return [sys.executable, "-m", "billing.simulator", *pairs]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    bare = {name: value for name, value in os.environ.items() if name == "PATH"}
    process = subprocess.Popen(
        arguments(port, tmp_path / "s.json"), cwd=ROOT, env=bare, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert f"http://localhost:{port}" in process.stdout.readline()
        assert fetch(f"http://127.0.0.1:{port}/")[0] == 200
        assert fetch(f"http://127.0.0.1:{port}/products", headers=AUTH)[0] == 200
        process.send_signal(number)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_the_process_says_why_it_cannot_serve(tmp_path: Path, served: Server) -> None:
    (tmp_path / "odd").write_text("{")
    for given, why in (
        (arguments(0, tmp_path / "s", host="0.0.0.0"), "127.0.0.1 only"),  # noqa: S104
        (arguments(served.port, tmp_path / "s"), "in use"),
        (arguments(0, tmp_path / "odd"), "Delete it"),
    ):
        done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert why in done.stderr
        assert "Traceback" not in done.stderr


def test_a_ticking_server_renews_what_falls_due_by_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.simulator.server.TICK_SECONDS", 0.05)
    subscription = shop.subscribe()
    shop.world.state.memory.offset += 40 * 86_400
    with Server(shop.world, ticking=True):
        until = time.monotonic() + 5
        while shop.events(subscription)[-1] != "subscription.updated":
            assert time.monotonic() < until
            time.sleep(0.02)
