"""One word names a URL, its view, its template and its test; and tests stand where their modules stand.

Each rule has one list of exceptions here, with reasons. A name leaves its list when the reason is gone.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.test_house import ROOT, SOURCES, imports, room_of

# Where the pages of a namespace have their views and their templates.
VIEWS = {
    "account": "dashboard.account",
    "billing": "billing.pages",
    "credits": "credits.pages",
    "dashboard": "dashboard",
    "dev": "dashboard.dev",
    "feedback": "feedback.pages",
    "": "sidekick.accounts",
}
TEMPLATES = {
    "account": "dashboard/account",
    "billing": "billing",
    "credits": "credits",
    "dashboard": "dashboard",
    "dev": "dashboard/dev",
    "feedback": "feedback",
    "": "account",
}


class Page(NamedTuple):
    namespace: str
    name: str
    view: Any

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}" if self.namespace else self.name


def ours() -> Iterator[Page]:
    """Every named URL whose view is ours. The API is apart: its views are classes, named by its own rule."""

    def walk(patterns: list[URLPattern | URLResolver], namespace: str) -> Iterator[Page]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                if pattern.namespace not in {"admin", "api"}:
                    yield from walk(pattern.url_patterns, pattern.namespace or namespace)
            elif pattern.name and room_of(pattern.callback.__module__):
                yield Page(namespace, pattern.name, inspect.unwrap(pattern.callback))

    return walk(get_resolver().url_patterns, "")


PAGES = list(ours())
# URL names that are not the name of a view, with the reason.
OTHER_VIEWS: dict[str, str] = {
    "account_logout": "allauth's name for `logout`",
    "api_docs": "the page of the API",
    "billing:paddle_webhook": "the door to Paddle",
    "dev:mailbox": "under way",
    "dev:emails": "under way",
    "dev:email": "under way",
    "dev:email_html": "under way",
}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_url_is_named_like_its_view(page: Page) -> None:
    assert page.view.__name__ == page.name or str(page) in OTHER_VIEWS


# Views outside the folder of their namespace, with the reason.
OTHER_ROOMS: dict[str, str] = {
    "billing:paddle_webhook": "the door to Paddle, not a page",
    "api_docs": "the page of the API",
}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_view_stands_in_the_room_of_its_namespace(page: Page) -> None:
    assert page.view.__module__.startswith(VIEWS[page.namespace] + ".") or str(page) in OTHER_ROOMS


def decorators(view: Any) -> set[str]:
    """The names above a view's `def`, as they are written there."""
    [function] = ast.parse(inspect.getsource(view)).body
    assert isinstance(function, ast.FunctionDef)
    return {re.sub(r"\(.*", "", ast.unparse(decorator), flags=re.DOTALL) for decorator in function.decorator_list}


# GET views without a page of their own, with the reason.
NO_PAGE: dict[str, str] = {
    "api_docs": "stands in templates/sidekick",
    "billing:coming": "a fragment for a page that is open",
    "billing:invoice": "leads to a PDF",
    "billing:paddle_webhook": "answers Paddle",
    "billing:progress": "a fragment for a page that is open",
    "billing:purchase": "shows `pay`",
    "credits:balance": "a fragment for a page that is open",
    "credits:export": "a file",
    "credits:history": "shares `usage.html`",
    "credits:models": "shares `usage.html`",
    "credits:requests": "shares `usage.html`",
    "credits:stop_balance_emails": "under way",
    "dashboard:dashboard": "leads to Credits",
    "dev:email": "under way",
    "dev:email_html": "the body of an email",
    "dev:emails": "under way",
    "dev:mailbox": "under way",
    "dev:message": "under way",
    "dev:message_html": "the body of an email",
    "feedback:bug": "shares `form.html`",
    "feedback:feature": "shares `form.html`",
    "feedback:image": "a file",
}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_has_a_template_of_its_name(page: Page) -> None:
    if decorators(page.view) & {"require_POST", "posted"}:
        return
    template = ROOT / "templates" / TEMPLATES[page.namespace] / f"{page.name}.html"
    assert template.exists() or str(page) in NO_PAGE


def page_templates() -> list[Path]:
    """Templates of whole pages: not fragments, and not layouts, which other templates extend."""
    templates = {path: path.read_text() for path in (ROOT / "templates").rglob("*.html")}
    layouts = set(re.findall(r'{% extends "([^"]+)" %}', "\n".join(templates.values())))
    folders = {ROOT / "templates" / folder for folder in TEMPLATES.values() if folder != "account"}
    return [
        path
        for path in sorted(templates)
        if path.parent in folders
        and path.name[0] != "_"
        and path.relative_to(ROOT / "templates").as_posix() not in layouts
    ]


# Templates of pages that are named for no URL, with the reason.
OTHER_TEMPLATES: dict[str, str] = {
    "credits/stop_emails.html": "under way",
    "credits/usage.html": "shared by requests, models and history",
    "dashboard/letter.html": "under way",
    "dashboard/letters.html": "under way",
    "dashboard/mail.html": "under way",
    "dashboard/mailbox.html": "under way",
    "feedback/form.html": "shared by bug and feature",
}


@pytest.mark.parametrize("path", page_templates(), ids=lambda path: path.relative_to(ROOT / "templates").as_posix())
def test_a_template_is_named_like_its_url(path: Path) -> None:
    name = path.relative_to(ROOT / "templates").as_posix()
    urls = {f"{TEMPLATES[page.namespace]}/{page.name}.html" for page in PAGES}
    assert name in urls or name in OTHER_TEMPLATES


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in SOURCES
    if "migrations" not in path.parts and path.name not in {"__init__.py", "apps.py", "urls.py"}
}
TEST_MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sorted((ROOT / "tests").rglob("test_*.py"))
}


def mirror(module: str) -> str:
    folder, _, name = module.rpartition(".")
    return f"tests.{folder}.test_{name}"


MIRRORED = {module for module in MODULES if mirror(module) in TEST_MODULES}


imported = functools.cache(imports)


def uses(path: Path, module: str) -> bool:
    return any(name == module or name.startswith(module + ".") for name in imported(path))


# Modules that neither have a test of their own nor are used by a neighbour that has one: where they are tested.
TESTED_BY: dict[str, str] = {
    "billing.simulator.__main__": "billing.simulator.test_server",
    "billing.simulator.pages.invoices": "billing.pages.test_views",
    "credits.admin.read_only": "dashboard.backoffice.test_admin",
    "credits.api.holds": "credits.ledger.test_holds",
    "credits.pages.unsubscribe": "credits.test_emails",
    "dashboard.admin": "dashboard.backoffice.test_admin",
    "dashboard.backoffice.search": "dashboard.backoffice.test_admin",
    "dashboard.templatetags.icons": "dashboard.test_home",
    "dashboard.views": "dashboard.test_home",
    "sidekick.accounts.http": "sidekick.accounts.test_middleware",
    "sidekick.accounts.sign_in.signals": "sidekick.accounts.test_emails",
    "sidekick.accounts.tasks": "sidekick.accounts.test_emails",
    "sidekick.accounts.user_agents": "dashboard.account.test_views",
    "sidekick.accounts.views": "sidekick.accounts.test_sign_in",
    "sidekick.admin.base": "dashboard.backoffice.test_admin",
    "sidekick.admin.filters": "dashboard.backoffice.test_admin_lists",
    "sidekick.api.docs": "sidekick.api.test_openapi",
    "sidekick.formats.en.formats": "sidekick.test_formatting",
    "sidekick.web.etags": "credits.pages.test_live",
    "sidekick.web.pagination": "credits.pages.test_views",
    "sidekick.web.rendering": "credits.pages.test_views",
}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_has_a_test(module: str) -> None:
    """Its own; or of a module of the same room that uses it; or one in the folder of its tests that imports it."""
    if module in TESTED_BY:
        assert f"tests.{TESTED_BY[module]}" in TEST_MODULES
        return
    if ".management.commands." in module:
        command = re.compile(rf"[\"' ]{module.rpartition('.')[2]}\b")
        assert any(command.search(path.read_text()) for path in TEST_MODULES.values())
        return
    folder = f"tests.{module.rpartition('.')[0]}."
    assert (
        module in MIRRORED
        or any(uses(MODULES[other], module) for other in MIRRORED if room_of(other) == room_of(module))
        or any(uses(path, module) for name, path in TEST_MODULES.items() if name.startswith(folder))
    )


# Tests of a topic rather than of one module. Those in tests/ itself and in tests/browser all are.
TOPICS = {
    "billing.paddle.test_recorded": "what the simulator answers, recorded",
    "billing.test_prices": "defaults that migrations add",
    "credits.ledger.test_concurrency": "threads",
    "credits.ledger.test_ledger_machine": "a state machine over all writers",
    "credits.pages.test_queries": "pinned numbers of statements",
    "dashboard.account.test_allauth_pages": "allauth's pages in our design",
    "dashboard.backoffice.test_admin_lists": "lists that read no whole tables",
    "dashboard.backoffice.test_admin_lookups": "lookups that nobody offers",
    "dashboard.backoffice.test_operator_groups": "a command",
    "dashboard.test_home": "under way",
    "dashboard.test_theme": "under way",
    "feedback.test_settings": "under way",
    "sidekick.accounts.test_pages": "under way",
    "sidekick.accounts.test_service_keys": "a class of models, and commands",
    "sidekick.accounts.test_sign_in": "under way",
}


@pytest.mark.parametrize("test", sorted(TEST_MODULES))
def test_a_test_stands_where_its_module_stands(test: str) -> None:
    folder, _, name = test.removeprefix("tests.").rpartition("test_")
    if folder in {"", "browser."}:
        return
    module = f"{folder}{name}"
    assert module in MODULES or (ROOT / module.replace(".", "/")).is_dir() or test.removeprefix("tests.") in TOPICS
