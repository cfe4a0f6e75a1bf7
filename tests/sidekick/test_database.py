"""The embedded PostgreSQL of development (S2)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.production import ROOT

START = """
import sys
from pathlib import Path
import django
django.setup()
from sidekick import database
print(database._embedded_url(Path(sys.argv[1])))
"""


def test_two_processes_may_start_it_at_once(tmp_path: Path) -> None:  # S2
    command = [sys.executable, "-c", START, str(tmp_path / "postgres")]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={"DJANGO_SETTINGS_MODULE": "sidekick.settings", "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    # Wait for all before reading the outcome, so that none is left behind.
    outputs = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], outputs
    assert len({output for output, _ in outputs}) == 1
