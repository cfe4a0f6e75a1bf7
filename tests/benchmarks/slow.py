"""Slow company: a Paddle that never answers, and clients that send or read a byte a second. Does everyone else notice?

A page and `/healthz` are asked in turn, first with nobody else there, then beside each kind of company.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from django.urls import reverse

from billing.models import PlanPrice

# A turn measures alone, then beside company.
SECONDS = 2.0
TURNS = 3
CUSTOMERS = 50
# Customers read what they are told before they press again.
READING = 5.0
CLIENTS = 200
# A customer may have ten a minute.
LARGE_FILES = 3
IDLE = 1100
BODY = 200_000
CSRF = "abcdefghijklmnopqrstuvwxyzabcdef"
SIGNED = {"Paddle-Signature": "ts=1778414850;h1=" + "0" * 64}
SIGNING_IN = {"Cookie": f"csrftoken={CSRF}", "X-CSRFToken": CSRF}
Headers = dict[str, str]
Act = Callable[[socket.socket], object]


@dataclass(frozen=True, slots=True)
class Door:
    """Where clients come in: the pages themselves, or the proxy before them."""

    port: int
    tls: ssl.SSLContext | None = None

    def connection(self) -> http.client.HTTPConnection:
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.tls)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)


@dataclass(slots=True)
class Times:
    """Seconds that each page and each `/healthz` took."""

    pages: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)

    @property
    def page(self) -> float:
        return statistics.median(self.pages)


@dataclass(frozen=True, slots=True)
class Company:
    """So many clients that begin alike, and do as little each second. One that begins in clear text never gets far."""

    name: str
    count: int
    start: bytes
    act: Act


def sends(client: socket.socket) -> None:
    client.send(b"x")


def reads(client: socket.socket) -> None:
    client.recv(1)


def waits(client: socket.socket) -> None:
    """Do nothing."""


def kinds(headers: Headers) -> list[Company]:
    """Every kind of slow client; `headers` are those of a customer with a large file."""
    webhook = _head("POST", "/webhooks/paddle", SIGNED, BODY)
    sign_in = _head("POST", "/accounts/login/", SIGNING_IN, BODY)
    large = _head("GET", "/dashboard/credits/requests.csv", headers)
    return [
        Company("2 announce an event and send none", 2, webhook, waits),
        Company("64 announce an event and send a byte a second", 64, webhook, sends),
        Company(f"{CLIENTS} announce an event and send none", CLIENTS, webhook, waits),
        Company(f"{CLIENTS} sign in at a byte a second", CLIENTS, sign_in, sends),
        Company(f"{CLIENTS} read a page at a byte a second", CLIENTS, _head("GET", "/pricing", {}), reads),
        Company(f"{LARGE_FILES} read a large file at a byte a second", LARGE_FILES, large, reads),
        Company(f"{IDLE} connect and say nothing", IDLE, b"", waits),
    ]


def _head(method: str, path: str, headers: Headers, length: int = 0) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if length:
        lines += [f"Content-Length: {length}", "Content-Type: application/x-www-form-urlencoded"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def measure(times: Times, door: Door, headers: Headers) -> None:
    """Each request on a connection of its own, as a balancer's are. One that fails took as long as it did."""
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        times.health.append(_ask(door, "/healthz", {}))
        times.pages.append(_ask(door, "/dashboard/credits", headers))


def _ask(door: Door, path: str, headers: Headers) -> float:
    start, client = time.perf_counter(), door.connection()
    with suppress(OSError):
        client.request("GET", path, headers=headers)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)
    client.close()
    return time.perf_counter() - start


@contextmanager
def beside(door: Door, company: Company) -> Iterator[None]:
    """They are there while the block lasts."""
    over = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(client) for client in _joined(door, company)]

        def live() -> None:
            while not over.wait(1):
                for client in clients:
                    with suppress(OSError):
                        company.act(client)

        thread = threading.Thread(target=live)
        thread.start()
        try:
            # By then all of them were noticed, and their files are made.
            time.sleep(2)
            yield
        finally:
            over.set()
            thread.join()


def _joined(door: Door, company: Company) -> Iterator[socket.socket]:
    for _ in range(company.count):
        client = socket.socket()
        # A small window, or the kernel takes whole pages for a client that reads nothing.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(5)
        with suppress(OSError):
            client.connect(("127.0.0.1", door.port))
            if door.tls and company.start:
                client = door.tls.wrap_socket(client)
            client.sendall(company.start)
        client.setblocking(False)
        yield client


@contextmanager
def silent_paddle() -> Iterator[str]:
    """A Paddle that takes connections and says nothing, at this address."""
    # The kernel takes them for it.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def purchases(door: Door, customers: list[Headers]) -> Iterator[None]:
    """Every customer presses Purchase, and again after each response. Some are told that Paddle is slow."""
    price = PlanPrice.objects.for_sale().filter(interval="month").earliest("pk")
    price.paddle_price_id = f"pri_01k{1:023}"
    price.save()
    path = reverse("billing:subscribe", args=[price.pk])
    over, statuses = threading.Event(), list[int]()

    def press(headers: Headers) -> None:
        while not over.is_set():
            client = http.client.HTTPConnection("127.0.0.1", door.port, timeout=READING)
            with suppress(OSError):
                client.request("POST", path, "", headers)
                statuses.append(client.getresponse().status)
            over.wait(READING)
            client.close()

    threads = [threading.Thread(target=press, args=[headers]) for headers in customers]
    for thread in threads:
        thread.start()
    try:
        time.sleep(2)
        yield
        assert 503 in statuses, statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def requests_a_second(door: Door, headers: Headers, clients: int = 8, seconds: float = 2.0) -> float:
    """Requests of the Credits page a second, by so many clients at once that keep their connections."""
    done: list[int] = []
    end = time.perf_counter() + seconds

    def work() -> None:
        client, count = door.connection(), 0
        while time.perf_counter() < end:
            client.request("GET", "/dashboard/credits", headers=headers)
            client.getresponse().read()
            count += 1
        client.close()
        done.append(count)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds
