"""The simulator's HTTP: API, pages and faults, on 127.0.0.1 and nowhere else."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlsplit

from billing.simulator.api import router as api
from billing.simulator.faults import Fault
from billing.simulator.http import Request, Response
from billing.simulator.pages import router as pages
from billing.simulator.world import World

HERE = "127.0.0.1"
OWN_HOST = re.compile(r"(localhost|127\.0\.0\.1)(:\d{1,5})?")
LARGEST_BODY = 1_000_000
TICK_SECONDS = 1.0
IDLE_SECONDS = 30


class Server:
    """Serves a world until the `with` block ends, and delivers its webhooks.

    `port=0` takes a free one. With `ticking`, what falls due by the clock happens by itself; tests move the clock
    instead. Raises `ValueError` for any address but 127.0.0.1: everyone who reaches the simulator can pay with nothing.
    """

    def __init__(self, world: World, *, port: int = 0, host: str = HERE, ticking: bool = False) -> None:
        if host != HERE:
            raise ValueError(f"The simulator listens on {HERE} only, not on {host!r}.")
        self.world = world
        self._http = _HTTP((host, port), _Handler)
        self._http.world = world
        self._http.ticking = ticking
        self.port = int(self._http.server_address[1])
        self.url = f"http://{HERE}:{self.port}"
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)]
        if ticking:
            self._threads.append(threading.Thread(target=self._tick, daemon=True))

    def __enter__(self) -> Server:
        for thread in self._threads:
            thread.start()
        self.world.courier.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self.world.courier.stop()

    def _tick(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            self.world.catch_up()


class _HTTP(ThreadingHTTPServer):
    daemon_threads = True
    world: World
    ticking: bool


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small responses would wait for the acknowledgement of the one before them.
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: _HTTP

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing: paths and queries name customers, and every verb stands in the panel."""

    def _respond(self) -> None:
        request = self._request()
        if request is None:
            return
        if not _is_ours(request):
            self._send(Response(403, b"This host or origin is not the simulator's.", "text/plain"))
            return
        # The clock may have passed a due date since the last tick.
        if self.server.ticking:
            self.server.world.catch_up()
        if api.is_api(request.path):
            self._respond_api(request)
        else:
            self._send(pages.respond(self.server.world, request))

    def _request(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit() and int(length) <= LARGEST_BODY):
            # The body was not read, so the connection cannot carry another request.
            self.close_connection = True
            self._send(Response(413, b"The body is too large, or of no stated length.", "text/plain"))
            return None
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(
            method=self.command,
            path=unquote(parts.path),
            base=f"http://{headers.get('host', '')}",
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=headers,
            body=self.rfile.read(int(length)),
        )

    def _respond_api(self, request: Request) -> None:
        world = self.server.world
        fault = world.faults.take(request.method, request.path)
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault and fault.kind == "unanswered":
            # The worst case for the caller: the call is done, and its outcome unknown.
            api.respond(world, request)
            self._hang_up()
            return
        elif fault and fault.kind == "closed":
            self._hang_up()
            return
        elif fault:
            self._send(_faulty(fault))
            return
        status, body = api.respond(world, request)
        self._send(Response(status, b"" if body is None else json.dumps(body).encode(), "application/json"))

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Content-Type", response.content_type)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)


def _is_ours(request: Request) -> bool:
    """No page of another site may press the panel's buttons, nor read it under a name of its own."""
    host = request.headers.get("host", "")
    if not OWN_HOST.fullmatch(host):
        return False
    # The API asks for its key, which no page of another site has.
    if request.method == "GET" or api.is_api(request.path):
        return True
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    return origin in {None, f"http://{host}"} and site in {None, "same-origin", "none"}


def _faulty(fault: Fault) -> Response:
    html = b"<!doctype html><title>Paddle</title><h1>Something is not as it should be</h1>"
    if fault.kind == "html":
        return Response(200, html)
    if fault.kind == "bad_gateway":
        return Response(502, html)
    status, code, kind = 500, "internal_error", "api_error"
    if fault.kind == "too_many_requests":
        status, code, kind = 429, "too_many_requests", "request_error"
    detail, meta = "The simulator was asked to fail this call.", {"request_id": "simulated-fault"}
    body = api.error_body(code, detail, kind=kind, meta=meta)
    headers = {"Retry-After": str(int(fault.seconds))} if status == 429 else {}
    return Response(status, json.dumps(body).encode(), "application/json", headers)
