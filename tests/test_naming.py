"""One word names a URL, its view, its template and its test; tests stand where their modules stand.

Exceptions stand below, each with its reason. An exception that is no longer one fails, too.
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

from tests.test_house import MODULES, ROOT, imports, room_of

# The folder of views and the folder of templates for each namespace.
FOLDERS = {
    "account": ("dashboard.account", "dashboard/account"),
    "billing": ("billing.pages", "billing"),
    "credits": ("credits.pages", "credits"),
    "dashboard": ("dashboard", "dashboard"),
    "dev": ("dashboard.dev", "dev"),
    "feedback": ("feedback.pages", "feedback"),
    "": ("sidekick.accounts", "account"),
}
# The image holds no templates of `dashboard.dev`, so they stand beside it.
TEMPLATE_ROOTS = [ROOT / "templates", ROOT / "dashboard" / "dev" / "templates"]
OTHER_VIEWS = {
    "account_logout": "allauth's name for `logout`",
    "api_docs": "the page of the API, in sidekick.api",
    "billing:paddle_webhook": "the webhook's endpoint, in billing.paddle",
}
NO_TEMPLATE = {
    "account_logout": "shares `logout.html`",
    "api_docs": "its template is in templates/sidekick",
    "billing:coming": "a fragment for a page that is open",
    "billing:invoice": "leads to a PDF",
    "billing:paddle_webhook": "no page",
    "billing:progress": "a fragment for a page that is open",
    "billing:purchase": "shares `pay.html`",
    "credits:balance": "a fragment for a page that is open",
    "credits:export": "a file",
    "dashboard:dashboard": "leads to Credits",
    "dev:email_html": "the body of an email",
    "dev:message_html": "the body of an email",
    "feedback:image": "a file",
}
# Modules without a test of their name, that no neighbour with such a test uses: the test that covers them.
TESTED_BY = {
    "billing.paddle.transport": "billing.paddle.test_api",
    "billing.simulator.__main__": "billing.simulator.test_server",
    "credits.admin.read_only": "dashboard.backoffice.test_admin",
    "credits.api.holds": "credits.ledger.test_holds",
    "credits.ledger.entries": "credits.ledger.test_only_writers",
    "credits.pages.unsubscribe": "credits.test_emails",
    "dashboard.admin": "dashboard.backoffice.test_admin",
    "dashboard.backoffice.search": "dashboard.backoffice.test_admin",
    "dashboard.templatetags.clocks": "dashboard.test_context",
    "dashboard.templatetags.icons": "dashboard.test_context",
    "sidekick.accounts.tasks": "sidekick.accounts.test_emails",
    "sidekick.accounts.views": "sidekick.accounts.test_sign_in",
    "sidekick.admin.base": "dashboard.backoffice.test_admin",
    "sidekick.admin.columns": "dashboard.backoffice.test_admin",
    "sidekick.admin.filters": "dashboard.backoffice.test_admin_lists",
    "sidekick.admin.reasons": "dashboard.backoffice.test_admin",
    "sidekick.api.calls": "sidekick.api.test_docs",
    "sidekick.formats.en.formats": "sidekick.test_formatting",
    "sidekick.asgi": "test_slow_clients",
    "sidekick.wsgi": "sidekick.test_settings",
    "sidekick.web.pagination": "credits.pages.test_views",
}
# Tests of a topic instead of a module. All tests directly in tests/ and in tests/browser are.
TOPICS = {
    "billing.paddle.test_silence": "a Paddle that never answers",
    "billing.paddle.test_recorded": "deliveries recorded elsewhere",
    "billing.paddle.test_whole_lives": "whole lives of accounts, in any order of events",
    "billing.pages.test_signing_up_for_a_plan": "journeys from the pricing page to the checkout",
    "billing.test_prices": "prices in models, and those that migrations add",
    "credits.ledger.test_concurrency": "threads",
    "credits.ledger.test_ledger_machine": "a state machine over all writers",
    "credits.ledger.test_only_writers": "the source of all writers",
    "credits.pages.test_queries": "pinned numbers of statements",
    "dashboard.account.test_allauth_pages": "allauth's pages in our design",
    "dashboard.backoffice.test_admin_lists": "lists that read no whole tables",
    "dashboard.backoffice.test_admin_lookups": "lookups that nobody offers",
    "sidekick.accounts.test_pages": "every page below /accounts/",
    "sidekick.accounts.test_rotation": "owner, tabs and thief side by side",
    "sidekick.accounts.test_service_keys": "a model and its commands",
}


class Page(NamedTuple):
    namespace: str
    name: str
    view: Any

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}" if self.namespace else self.name

    @property
    def template(self) -> str:
        return f"{FOLDERS[self.namespace][1]}/{self.name}.html"


def named(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[Page]:
    """Every named URL but the admin's, with its view; the view of a class is the class."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            # allauth's classes, which some of ours extend, keep allauth's names.
            if pattern.name and not hasattr(pattern.callback, "view_class"):
                view = getattr(pattern.callback, "cls", pattern.callback)
                yield Page(namespace, pattern.name, inspect.unwrap(view))
        elif pattern.namespace != "admin":
            yield from named(pattern.url_patterns, pattern.namespace or namespace)


OURS = [page for page in named(get_resolver().url_patterns) if room_of(page.view.__module__)]
API = [page for page in OURS if page.namespace == "api"]
PAGES = [page for page in OURS if page.namespace != "api"]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_url_is_named_like_its_view(page: Page) -> None:
    module, _ = FOLDERS[page.namespace]
    named_alike = page.view.__name__ == page.name and page.view.__module__.startswith(f"{module}.")
    assert named_alike != (str(page) in OTHER_VIEWS)


@pytest.mark.parametrize("page", API, ids=str)
def test_the_api_names_its_views_alike(page: Page) -> None:
    """`usage_models` is `UsageModelsView` where it is a class."""
    assert page.view.__name__ in {page.name, f"{page.name.title().replace('_', '')}View"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_has_a_template_of_its_name(page: Page) -> None:
    if decorators(page.view) & {"require_POST", "posted"}:
        return
    assert any((root / page.template).exists() for root in TEMPLATE_ROOTS) != (str(page) in NO_TEMPLATE)


def decorators(view: Any) -> set[str]:
    """The names of a view's decorators, without their arguments."""
    [function] = ast.parse(inspect.getsource(view)).body
    assert isinstance(function, ast.FunctionDef)
    return {re.sub(r"\(.*", "", ast.unparse(decorator), flags=re.DOTALL) for decorator in function.decorator_list}


def page_templates() -> list[str]:
    """Templates of whole pages: neither fragments nor layouts. Those in templates/account replace allauth's own."""
    templates = {
        path.relative_to(root).as_posix(): path.read_text()
        for root in TEMPLATE_ROOTS
        for path in sorted(root.rglob("*.html"))
    }
    layouts = set(re.findall(r'{% extends "([^"]+)" %}', "\n".join(templates.values())))
    folders = {folder for _, folder in FOLDERS.values()} - {"account"}
    return [
        name for name in templates if name.rpartition("/")[0] in folders and "/_" not in name and name not in layouts
    ]


@pytest.mark.parametrize("template", page_templates())
def test_a_template_is_named_like_its_url(template: str) -> None:
    assert template in {page.template for page in PAGES}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


SUBJECTS = {dotted(path): path for path in MODULES if path.name not in {"apps.py", "urls.py"}}
TESTS = {dotted(path).removeprefix("tests."): path for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def mirror_of(module: str) -> str:
    folder, _, name = module.rpartition(".")
    return f"{folder}.test_{name}"


# A test may mirror one module or, if that is small, its folder.
MIRRORED = {module for module in SUBJECTS if {mirror_of(module), mirror_of(module.rpartition(".")[0])} & set(TESTS)}


@functools.cache
def imported(path: Path) -> set[str]:
    return imports(path)


def uses(path: Path, module: str) -> bool:
    return any(name == module or name.startswith(module + ".") for name in imported(path))


@pytest.mark.parametrize("module", sorted(SUBJECTS))
def test_a_module_has_a_test(module: str) -> None:
    """Of its own or its folder's name; or of a neighbour's that uses it; or one in the mirrored folder imports it."""
    folder = module.rpartition(".")[0] + "."
    if folder.endswith(".management.commands."):
        found = any(re.search(rf"[\"' ]{module.removeprefix(folder)}\b", path.read_text()) for path in TESTS.values())
    else:
        found = (
            module in MIRRORED
            or mirror_of(folder.rstrip(".")) in TESTS
            or any(uses(SUBJECTS[other], module) for other in MIRRORED if room_of(other) == room_of(module))
            or any(uses(path, module) for test, path in TESTS.items() if test.startswith(folder))
        )
    assert found != (module in TESTED_BY)


def test_exceptions_are_about_names_that_exist() -> None:
    assert {*OTHER_VIEWS, *NO_TEMPLATE} - set(map(str, PAGES)) == set()
    assert set(TESTED_BY) - set(SUBJECTS) == set()
    assert {*TESTED_BY.values(), *TOPICS} - set(TESTS) == set()


@pytest.mark.parametrize("module", sorted({page.view.__module__ for page in OURS}))
def test_views_have_a_test_of_their_name(module: str) -> None:
    assert module in MIRRORED or module in TESTED_BY


@pytest.mark.parametrize("test", sorted(TESTS))
def test_a_test_stands_where_its_module_stands(test: str) -> None:
    """`credits.ledger.test_holds` is for `credits/ledger/holds.py`, `feedback.test_admin` for the folder."""
    folder, _, name = test.rpartition("test_")
    if folder in {"", "browser."}:
        return
    module = f"{folder}{name}"
    mirrors = module in SUBJECTS or (ROOT / module.replace(".", "/")).is_dir()
    assert mirrors != (test in TOPICS)
