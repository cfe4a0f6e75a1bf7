"""The documents are compared with the code, so that they stay true."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.utils.module_loading import import_string

from tests.test_house import MAY_IMPORT, ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]

# `# C4`, `(M7–M9)`. Not `/F1`, a font of a PDF, nor part of a longer word.
REQUIREMENT = re.compile(r"(?<![\w/#'-])([NACMFBPOS])(\d{1,2})(?:–\1?(\d{1,2}))?(?![\w'.])(?!\.\d)")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def requirements_named(paths: list[Path]) -> dict[str, Path]:
    """Every requirement id in these files, with one file that names it. Ranges such as M7–M9 name all between."""
    named = {}
    for path in paths:
        for letter, first, last in REQUIREMENT.findall(path.read_text()):
            for number in range(int(first), int(last or first) + 1):
                named[f"{letter}{number}"] = path
    return named


def requirements_listed(section: str) -> set[str]:
    return set(re.findall(r"^- \*\*([A-Z]\d+)\*\* ", section, re.MULTILINE))


BUILT, PLANNED = map(requirements_listed, (DOCS / "requirements.md").read_text().split("\n## Planned\n"))


def test_every_requirement_that_code_or_tests_name_is_listed() -> None:
    named = requirements_named(tracked("*.py", "static/css/*.css", "static/js/*.js"))
    assert {name: path for name, path in named.items() if name not in BUILT | PLANNED} == {}


def test_every_built_requirement_is_named_by_a_test() -> None:
    assert BUILT - set(requirements_named(tracked("tests/*.py"))) == set()


def test_no_requirement_is_both_built_and_planned() -> None:
    assert set() == BUILT & PLANNED


def test_the_map_is_what_imports_are_tested_by() -> None:
    """The README's table of apps: each with what it may import."""
    rows = re.findall(r"^\| `([\w/]+)` \| .* \| (.*) \| .* \|$", README.read_text(), re.MULTILINE)
    for app, words in rows:
        named = {name.replace("/", ".") for name in re.findall(r"`([\w/]+)`", words)}
        if words.endswith(" and its imports"):
            named |= {name for each in named for name in MAY_IMPORT[each]}
        assert named == MAY_IMPORT[app.replace("/", ".")], app
    assert {app.replace("/", ".") for app, _ in rows} == set(MAY_IMPORT)


def test_every_page_stands_in_the_readme() -> None:
    pages = {path.relative_to(ROOT).as_posix() for path in PAGES} - {"README.md"}
    assert {page for page in pages if f"[{page}]({page})" not in README.read_text()} == set()


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


def variables_read_by_the_settings() -> set[str]:
    """Names of environment variables: each is the first argument of a call of `env`, such as `env.int("PORT")`."""
    found = set()
    for path in tracked("sidekick/settings/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(ast.Attribute(ast.Name("env")), [ast.Constant(str(name)), *_]):
                    found.add(name)
    return found


def test_the_settings_page_lists_every_variable_that_is_read() -> None:
    page, outside = (DOCS / "settings.md").read_text().split("\n## Read outside the settings\n")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", " ".join(rows))) == variables_read_by_the_settings()
    for row in outside.strip().splitlines()[2:]:
        names, _, reader = row.strip("| ").split(" | ")
        for name in re.findall(r"`([A-Z_]+)`", names):
            assert name in readers_outside(), f"nothing reads {name} ({reader})"


def readers_outside() -> str:
    paths = tracked("deploy/*", "tests/browser/*.py", "tests/credits/ledger/*.py", "compose.yaml")
    return "\n".join(path.read_text() for path in paths)


def test_every_dependency_has_a_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    declared = project.split("\ndependencies = [\n")[1].split("\n]\n")[0].splitlines()
    assert [line for line in declared if not re.fullmatch(r'  "[^"]+",  # .+', line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_in_a_document_exists(page: Path) -> None:
    text = page.read_text()
    missing = {name for name in re.findall(r"`([^`\n]+)`", text) if not exists(name)}
    missing |= {target for target in re.findall(r"\]\(([^)#:]+)\)", text) if not (page.parent / target).exists()}
    assert missing == set()


def exists(name: str) -> bool:
    """Paths, dotted names of ours and commands are looked up; anything else is taken as it is."""
    if command := re.match(r"manage\.py (\w+)", name):
        return command[1] in get_commands()
    if command := re.match(r"make (\w+)", name):
        return f"\n{command[1]}:" in (ROOT / "Makefile").read_text()
    if re.fullmatch(r"(credits|billing|dashboard|feedback|sidekick|tests)\.[\w.]+", name):
        return is_importable(name)
    first = name.split("/")[0]
    if re.fullmatch(r"[\w.]+(/[\w.<>-]*)+", name) and (ROOT / first).is_dir():
        return "<" in name or name.startswith("var/") or (ROOT / name).exists()
    if re.fullmatch(r"[\w-]+\.(py|toml|lock|yaml|md)", name):
        return (ROOT / name).exists()
    return True


def is_importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        try:
            import_string(name)
        except ImportError:
            return False
    return True
