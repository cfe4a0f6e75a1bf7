"""The house plan, kept by tests: who may import whom, and that the README's map is true."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()

# What each room may import of the house. `sidekick` is the project itself: pages, problems, database.
MAY_IMPORT = {
    "sidekick.accounts": {"sidekick"},
    "credits": {"sidekick", "sidekick.accounts"},
    "feedback": {"sidekick", "sidekick.accounts"},
    "billing.simulator": set(),
    "billing": {"sidekick", "sidekick.accounts", "credits"},
    "dashboard": {"sidekick", "sidekick.accounts", "credits", "feedback", "billing"},
    "sidekick": set(),
}


def room_of(module: str) -> str | None:
    rooms = sorted(MAY_IMPORT, key=len, reverse=True)
    return next((room for room in rooms if module == room or module.startswith(room + ".")), None)


def imports(path: Path) -> set[str]:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


SOURCES = [
    p for room in ("sidekick", "dashboard", "credits", "feedback", "billing") for p in (ROOT / room).rglob("*.py")
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = room_of(module)
    assert room
    rooms = {room_of(name) for name in imports(path)} - {None, room}
    assert rooms <= MAY_IMPORT[room], f"{module} imports {rooms - MAY_IMPORT[room]}"


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        p.relative_to(ROOT).as_posix()
        for p in SOURCES
        if re.search(r"os\.(environ\b(?!\.setdefault)|getenv)", p.read_text())
    }
    # `serve` hands its own environment on to the processes it starts.
    assert readers == {"sidekick/settings.py", "dashboard/management/commands/serve.py"}


def test_every_variable_stands_in_the_readme() -> None:
    settings = (ROOT / "sidekick" / "settings.py").read_text()
    names = set(re.findall(r'\b(?:text|number|switch|required)\(\s*"([A-Z_]+)"', settings))
    assert names
    assert {name for name in names if f"`{name}`" not in README} == set()


@pytest.mark.parametrize("app", ["sidekick/accounts", "dashboard", "credits", "feedback", "billing"])
def test_every_app_stands_in_the_readme(app: str) -> None:
    assert f"`{app}`" in README


def test_every_dependency_stands_in_the_readme() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    declared = project.split("[dependency-groups]")[0].split("dependencies = [")[1].split("]\n")[0]
    names = set(re.findall(r'"([a-z0-9-]+)', declared))
    assert {name for name in names if name not in README.lower()} == set()


def test_no_file_names_an_index_or_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(r"py[p]i\.org|python[h]osted|registry\.npm[j]s|deb\.debia[n]\.org|/opt/[p]ypi|/wor[k]/")
    assert [
        name for name in tracked if (ROOT / name).is_file() and hosts.search((ROOT / name).read_text(errors="ignore"))
    ] == []
