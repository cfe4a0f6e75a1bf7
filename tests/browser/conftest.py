"""A real browser before a real server: the same process, real threads, rows that are really committed.

Every page fails its test on a console error, an uncaught exception or a breach of the content security policy;
a test that provokes one says so with `expected_faults`. `SCREENSHOTS=folder` keeps a picture of each page.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
import time_machine
from django.core.cache import cache
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from billing.simulator.schemas.transactions import Transaction
from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import User
from tests.billing import store as stores
from tests.browser import chromium, customers, firefox
from tests.conftest import make_user
from tests.post import delivered

Theme = Literal["light", "dark"]
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desktop": (1440, 900)}
# A Tuesday; Berlin moves its clocks forward on the Sunday after it.
TUESDAY = datetime(2026, 3, 24, 9, 12, tzinfo=UTC)

expect.set_options(timeout=10_000)


class Shop(stores.Store):
    """A simulated Paddle whose webhooks come to the live server by HTTP, signed, as soon as there are any."""

    def deliver(self) -> None:
        """Wait until all that is not held has been taken in."""
        assert self.world.deliver_all() == 0

    def fall_silent(self) -> None:
        """From now on no webhook comes, and Paddle can't be asked what became of a transaction."""
        self.world.switch("hold", True)
        self.world.faults.add("error", method="GET", path="/transactions", times=1000)

    def speak(self) -> None:
        self.world.faults.clear()
        self.world.switch("hold", False)
        self.deliver()

    def transactions(self) -> list[Transaction]:
        with self.world.lock:
            return self.world.state.transactions.rows()


class NewPage(Protocol):
    def __call__(
        self, user: User | None = None, *, width: int = 1440, theme: Theme = "light", **context: Any
    ) -> Page: ...


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        pytest.fail(chromium.ADVICE, pytrace=False)
    # Playwright's loop lives in this thread, and the tests of this room ask the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def expected_faults() -> list[str]:
    """Patterns of console errors that a test brings about on purpose."""
    return []


@pytest.fixture
def new_page(browser: Browser, live_server: LiveServer, expected_faults: list[str]) -> Iterator[NewPage]:
    """Make pages, each in a browser profile of its own, signed in as `user` where one is given."""
    cache.clear()
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def new_page(user: User | None = None, *, width: int = 1440, theme: Theme = "light", **context: Any) -> Page:
        height = dict(SIZES.values()).get(width, 900)
        made = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": height},
            color_scheme=theme,
            locale="en-GB",
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
            **context,
        )
        contexts.append(made)
        made.on("console", lambda message: _note(message, faults))
        made.on("weberror", lambda error: faults.append(f"uncaught: {error.error}"))
        if user:
            sign_in(made, user, live_server.url)
        return made.new_page()

    yield new_page
    for context in contexts:
        context.close()
    unexpected = [fault for fault in faults if not any(re.search(pattern, fault) for pattern in expected_faults)]
    assert unexpected == []


def _note(message: ConsoleMessage, faults: list[str]) -> None:
    """Chromium writes what the content security policy refused as an error, too."""
    if message.type in {"error", "assert"}:
        faults.append(f"{message.text} ({message.location.get('url', '')})")


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests in Firefox, so that one Firefox starts."""
    for item in items:
        if "firefox_browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("firefox"))


@pytest.fixture(scope="session")
def firefox_browser(django_db_setup: None, live_server: LiveServer) -> Iterator[firefox.Firefox]:
    # It ends before what it asks for: while its connections are open, the database can't be dropped.
    path = firefox.find()
    if path is None:
        pytest.skip(firefox.ADVICE)
    browser = firefox.Firefox(path)
    yield browser
    browser.quit()


@pytest.fixture(name="firefox")
def _firefox(firefox_browser: firefox.Firefox, live_server: LiveServer) -> firefox.Firefox:
    """A Firefox without cookies, with one empty tab."""
    cache.clear()
    firefox_browser.begin(live_server.url)
    return firefox_browser


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The server's clock: it starts on a Tuesday in March, goes on ticking, and can be moved."""
    with time_machine.travel(TUESDAY, tick=True) as traveller:
        yield traveller


@pytest.fixture
def nora(clock: time_machine.Traveller, live_server: LiveServer) -> User:
    """A customer with some requests."""
    user = customers.newcomer(TUESDAY - timedelta(days=2))
    customers.record(list(customers.requests(user, 30, start=TUESDAY - timedelta(days=1), end=TUESDAY)))
    return user


@pytest.fixture
def paul(clock: time_machine.Traveller, live_server: LiveServer) -> User:
    """Another account, without usage."""
    return make_user("paul@example.com", date_joined=TUESDAY - timedelta(days=1))


@pytest.fixture
def shop(live_server: LiveServer, settings: Settings, clock: time_machine.Traveller) -> Iterator[Shop]:
    """A Paddle at which everything is for sale, and which knows where the live server takes its webhooks."""
    settings.SITE_URL, settings.PADDLE_WEBHOOK_SECRETS = live_server.url, [stores.SECRET]
    with stores.opened(settings) as opened:
        policy = copy.deepcopy(settings.CONTENT_SECURITY_POLICY)
        policy["DIRECTIVES"]["form-action"] = ["'self'", opened.url]
        settings.CONTENT_SECURITY_POLICY = policy
        opened.world.switch("hold", False)
        yield Shop(opened.world, opened.url)


def sign_in(context: BrowserContext, user: User, url: str) -> None:
    """Give a browser the cookies of a new device session, as the sign-in page does."""
    pair = device_sessions.start(user, ip="127.0.0.1", user_agent="tests")
    for name, value in ((tokens.ACCESS_COOKIE, pair.access), (tokens.REFRESH_COOKIE, pair.refresh)):
        context.add_cookies([{"name": name, "value": value, "url": url, "httpOnly": True, "sameSite": "Lax"}])


def emailed_code(to: str) -> str:
    """The code in the newest email, which has to be to this address."""
    message = delivered()[-1]
    assert message.to == [to]
    found = re.search(r"^\s*([A-Z0-9]{4}-[A-Z0-9]{4})$", str(message.body), re.MULTILINE)
    assert found, message.body
    return found[1]


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """Save the whole page as a picture where SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")

    def screenshot(page: Page, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return screenshot
