"""`make run`: everything a developer needs, in one process tree that one Ctrl-C ends."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from dashboard.dev import demo
from sidekick.accounts.models import User

STOP_WITHIN = 10.0


class Command(BaseCommand):
    help = "Migrate, make the demo accounts, and serve pages and background work until Ctrl-C. For development."
    requires_system_checks = ["settings"]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("In production run granian and the worker themselves: see docs/running.md.")
        port: int = options["port"]
        _refuse_taken(port)
        call_command("migrate", verbosity=0)
        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGHUP, _interrupt)
        children: list[subprocess.Popen[bytes]] = []
        try:
            if settings.PADDLE_SIMULATED:
                children.append(_start_simulator())
                call_command("paddle_setup", stdout=io.StringIO())
            self._make_demo()
            children += _start(port, options["workers"])
            _wait_until_served(port, children)
            self._say_where(port)
            while all(child.poll() is None for child in children):
                time.sleep(0.3)
            raise CommandError("Web, worker or simulator stopped by itself; its reason stands above.")
        except KeyboardInterrupt:
            self.stdout.write("\nStopping.")
        finally:
            _stop(children)

    def _make_demo(self) -> None:
        started = time.monotonic()
        call_command("demo")
        if time.monotonic() - started > 1:
            self.stdout.write("Demo data is ready; the next start takes seconds.")

    def _say_where(self, port: int) -> None:
        self.stdout.write(
            self.style.SUCCESS(f"\n  Sidekick is at http://localhost:{port}\n")
            + f"\n  Sign in as   {', '.join(persona.email for persona in demo.PERSONAS)}"
            + f"\n  Operator     {demo.OPERATOR}, admin at http://localhost:{port}/admin/"
            + f"\n  Password     {demo.PASSWORD} (all of them)"
            + f"\n  Emails sent  http://localhost:{port}/dev/mail"
            + (f"\n  Paddle       {settings.PADDLE_API_URL} (a simulator)" if settings.PADDLE_SIMULATED else "")
            + "\n\n  Ctrl-C stops everything; the data stays.\n"
        )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandError(f"Port {port} is taken. Choose another one: make run PORT=8001") from None


def _start_simulator() -> subprocess.Popen[bytes]:
    state = settings.VAR_DIR / "paddle-simulator.json"
    # A new database goes with a simulator without a past: its customers would be unknown to us.
    if not User.objects.exists():
        state.unlink(missing_ok=True)
    port = urlsplit(settings.PADDLE_API_URL).port or 80
    _refuse_taken(port)
    command = [sys.executable, "-m", "billing.simulator", "--port", str(port), "--state", str(state)]
    command += ["--api-key", settings.PADDLE_API_KEY, "--secret", settings.PADDLE_WEBHOOK_SECRETS[0]]
    command += ["--payment-link", settings.SITE_URL + reverse("billing:pay")]
    simulator = subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True)
    _wait_until_served(port, [simulator])
    return simulator


def _start(port: int, workers: int) -> list[subprocess.Popen[bytes]]:
    # A session of its own for each: Ctrl-C reaches this process only, which then stops them.
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "DATABASE_URL": settings.DATABASE_URL}
    environment |= {"HOST": "127.0.0.1", "PORT": str(port), "WEB_PROCESSES": str(workers)}
    web = ["deploy/start", "web"]
    worker = [sys.executable, "manage.py", "procrastinate", "worker", "--shutdown-graceful-timeout", "5"]
    return [
        subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment, start_new_session=True)
        for command in (web, worker)
    ]


def _wait_until_served(port: int, children: list[subprocess.Popen[bytes]]) -> None:
    while all(child.poll() is None for child in children):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        with suppress(ProcessLookupError):
            child.terminate()
    for child in children:
        try:
            child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
