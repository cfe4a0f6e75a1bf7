"""A file of a million requests: is all of it there, and what does it take of the process that makes it? (C7)"""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass
from pathlib import Path

REQUESTS = "/dashboard/credits/requests.csv"
MEBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Download:
    """`rows` without the header; `last_line` as it came."""

    rows: int
    length: int
    seconds: float
    last_line: str


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that the largest process of a server ever took, in MiB; `own` is without the code of libraries."""

    resident: float
    own: float


def download(port: int, headers: dict[str, str], path: str = REQUESTS) -> Download:
    """Reads a file without keeping it. Raises `AssertionError` for what is no file, or not as long as announced."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    start = time.perf_counter()
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    lines = length = 0
    tail = b""
    while block := answer.read(1 << 16):
        lines, length = lines + block.count(b"\n"), length + len(block)
        tail = (tail + block)[-1000:]
    assert (answer.status, str(length)) == (200, answer.headers["Content-Length"])
    last_line = tail.decode().rstrip("\n").rpartition("\n")[2]
    return Download(lines - 1, length, time.perf_counter() - start, last_line)


def peak(port: int) -> Peak:
    """Of the server on this port, since its processes began."""
    return max((_peak(process) for process in _processes(port)), key=lambda peak: peak.resident)


def _processes(port: int) -> list[Path]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        found += [process] if b"--port" in command and str(port).encode() in command else []
    return found


def _peak(process: Path) -> Peak:
    status = (process / "status").read_text()
    resident, now = _figure("VmHWM", status), _figure("VmRSS", status)
    # The kernel notes no peak of it: what came and went is taken for the process's own.
    return Peak(resident, _figure("RssAnon", status) + resident - now)


def _figure(name: str, text: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    assert found, name
    return int(found[1]) / MEBIBYTE
