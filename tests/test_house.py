"""The structure of the project: the directions of imports, and the sizes and names of modules."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent

# The rooms that each room may import. `sidekick` itself imports none of ours.
MAY_IMPORT = {
    "sidekick.accounts": {"sidekick"},
    "credits": {"sidekick", "sidekick.accounts"},
    "feedback": {"sidekick", "sidekick.accounts"},
    "billing.simulator": set(),
    "billing": {"sidekick", "sidekick.accounts", "credits"},
    "dashboard": {"sidekick", "sidekick.accounts", "credits", "feedback", "billing"},
    "dashboard.dev": {"sidekick", "sidekick.accounts", "credits", "feedback", "billing", "dashboard"},
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


# The same inside credits, of its inner rooms: faces above, the ledger below.
CREDITS = {
    "credits.pages": {"credits.emails", "credits.reports", "credits.usage", "credits.ledger"},
    "credits.api": {"credits.reports", "credits.usage", "credits.ledger"},
    "credits.admin": {"credits.reports", "credits.usage", "credits.ledger"},
    "credits.emails": {"credits.reports"},
    "credits.reports": {"credits.ledger"},
    "credits.usage": {"credits.ledger"},
    "credits.ledger": set(),
}


@pytest.mark.parametrize("room", CREDITS)
def test_imports_inside_credits_run_one_way(room: str) -> None:
    folder = ROOT / room.replace(".", "/")
    for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        rooms = {".".join(name.split(".")[:2]) for name in imports(path)} & CREDITS.keys()
        assert rooms - {room} <= CREDITS[room], f"{path} imports {rooms}"


WRITING_SQL = re.compile(r"\b(INSERT INTO|UPDATE \w+( \w+)? SET|DELETE FROM|FOR (NO KEY )?(UPDATE|SHARE))\b")
WRITING_METHODS = {
    "save", "create", "bulk_create", "update", "bulk_update", "delete", "get_or_create", "update_or_create",
    "select_for_update", "executemany",
}  # fmt: skip


@pytest.mark.parametrize("path", sorted((ROOT / "credits/reports").rglob("*.py")), ids=lambda path: path.stem)
def test_reports_write_nothing(path: Path) -> None:
    """They ask the ledger for one thing: to open what the clock owes."""
    assert {name for name in imports(path) if name.startswith("credits.ledger")} <= {"credits.ledger.periods.open_due"}
    nodes = list(ast.walk(ast.parse(path.read_text())))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in texts if WRITING_SQL.search(text)] == []
    assert {node.attr for node in nodes if isinstance(node, ast.Attribute)} & WRITING_METHODS == set()


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        p.relative_to(ROOT).as_posix()
        for p in SOURCES
        if re.search(r"os\.(environ\b(?!\.setdefault)|getenv)", p.read_text())
    }
    assert readers == {
        "sidekick/settings/environment.py",
        # It passes a folder on to a library, which asks the environment.
        "sidekick/settings/operations.py",
        # `serve` hands its own environment on to the processes it starts.
        "dashboard/dev/management/commands/serve.py",
    }


def test_no_file_names_an_index_or_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(r"py[p]i\.org|python[h]osted|registry\.npm[j]s|deb\.debia[n]\.org|/opt/[p]ypi|/wor[k]/")
    assert [
        name for name in tracked if (ROOT / name).is_file() and hosts.search((ROOT / name).read_text(errors="ignore"))
    ] == []


MODULES = [path for path in SOURCES if path.name != "__init__.py" and "migrations" not in path.parts]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_folder_holds_more_than_fifteen_modules() -> None:
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES)
    assert {folder: size for folder, size in sizes.items() if size > 15} == {}


def test_no_function_is_longer_than_46_lines() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for path in MODULES
        for function in functions(path)
    }
    assert {name: length for name, length in lengths.items() if length > 46} == {}


def test_the_median_module_has_at_most_eighty_lines() -> None:
    assert median(len(path.read_text().splitlines()) for path in MODULES) <= 80


def test_constructors_say_their_argument() -> None:
    """`Chart.for_span`, not `Chart.of`."""
    assert [path for path in MODULES if any(function.name == "of" for function in functions(path))] == []


RIDDLE = re.compile(r'^ *(#|r?""") ?(What|Who|Whoever|Whose|Which|With it went) .*', re.MULTILINE)


def test_comments_begin_with_their_subject() -> None:
    """No comment or docstring opens with a relative clause: its subject would come last."""
    written = [path for path in [*SOURCES, *(ROOT / "tests").rglob("*.py")] if "migrations" not in path.parts]
    found = {path.relative_to(ROOT).as_posix(): RIDDLE.search(path.read_text()) for path in written}
    assert {name: match[0] for name, match in found.items() if match} == {}


def test_modules_are_named_for_their_knowledge() -> None:
    vague = {"utils", "helpers", "common", "core", "services", "managers"}
    assert [path for path in SOURCES if vague & {path.stem, path.parent.name}] == []


def test_the_internals_of_allauth_are_imported_in_one_module() -> None:
    """Its limiter, which is internal too, is used in another."""
    users = {p.relative_to(ROOT).as_posix() for p in SOURCES if any(map(is_internal_of_allauth, imports(p)))}
    assert users == {"sidekick/accounts/allauth_internals.py", "sidekick/web/rate_limits.py"}


@pytest.mark.parametrize(
    "name", ["allauth.account.internal.flows", "allauth.core.ratelimit.consume", "allauth.core.context._request_var"]
)
def test_internals_of_allauth_are_known_by_name(name: str) -> None:
    assert is_internal_of_allauth(name)
    assert not is_internal_of_allauth("allauth.account.adapter.get_adapter")


def is_internal_of_allauth(name: str) -> bool:
    parts = name.split(".")
    private = any(part in {"internal", "flows", "ratelimit"} or part.startswith("_") for part in parts)
    return parts[0] == "allauth" and private


def test_the_image_holds_no_development_tools() -> None:
    """`.dockerignore` lets all of `dashboard` and `billing` through but these folders, and nothing in it needs them."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    tools = {"dashboard.dev", "billing.simulator"}
    assert {tool.replace(".", "/") for tool in tools} <= set(rules)
    assert {tool for room, may in MAY_IMPORT.items() if room not in tools for tool in may & tools} == set()
