"""A Firefox for the browser tests: the one that is here, or Debian's package.

Mozilla's own `marionette_driver` drives it, because Playwright drives only a Firefox of its own build. `python -m
tests.browser.firefox` installs what is missing, where it can. Without a Firefox the tests that use it are skipped.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marionette_driver import By, Wait
from marionette_driver.errors import MarionetteException, MoveTargetOutOfBoundsException, StaleElementException
from marionette_driver.marionette import ActionSequence, Marionette, MouseButton, WebElement

from tests import debian

if TYPE_CHECKING:
    from sidekick.accounts.models import User

NAMES = ("firefox-esr", "firefox")
ADVICE = (
    "No Firefox was found, so its tests are skipped. Install one (Debian: apt-get install firefox-esr) or say where "
    "it is: FIREFOX=/path/to/firefox make test"
)
PREFERENCES = {
    "intl.accept_languages": "en-GB",
    "ui.prefersReducedMotion": 1,
    # A proxy at which nothing listens; it is used while `set_offline` says so.
    "network.proxy.allow_hijacking_localhost": True,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.type": 0,
}
SECONDS = 15
# Visible elements of a selector that contain these words, in the order of the document.
SHOWN = """
const [selector, words] = arguments;
const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.textContent.includes(words);
return [...document.querySelectorAll(selector)].filter(shown);
"""


class Firefox:
    """One browser for all tests of a run. Each test begins without cookies, in one empty tab."""

    def __init__(self, path: str) -> None:
        # A folder: a log that exists already would be deleted first, even if it is a device.
        self.logs = tempfile.TemporaryDirectory()
        self.driver = Marionette(bin=path, headless=True, port=0, gecko_log=self.logs.name, prefs=PREFERENCES)
        self.driver.start_session()
        self.driver.timeout.page_load = SECONDS * 2
        self.url = ""

    def begin(self, url: str) -> None:
        """Forget what the test before left behind; paths are below `url` from now on."""
        first, *others = self.tabs
        for tab in others:
            self.switch(tab)
            self.driver.close()
        self.switch(first)
        self.set_offline(False)
        self.driver.navigate("about:blank")
        with self.driver.using_context("chrome"):
            self.driver.execute_script("Services.cookies.removeAll();")
        self.url = url

    def quit(self) -> None:
        self.driver.quit()
        self.logs.cleanup()

    @property
    def tabs(self) -> list[str]:
        return list(self.driver.window_handles)

    @property
    def tab(self) -> str:
        return str(self.driver.current_window_handle)

    @property
    def path(self) -> str:
        """Path and query of the address."""
        return str(self.driver.get_url()).removeprefix(self.url)

    def open(self, path: str) -> None:
        self.driver.navigate(self.url + path)

    def open_tab(self, path: str) -> str:
        """Returns the new tab, which is the current one now."""
        tab = str(self.driver.open(type="tab", focus=True)["handle"])
        self.switch(tab)
        self.open(path)
        return tab

    def switch(self, tab: str) -> None:
        self.driver.switch_to_window(tab)

    def wait_for_tab(self, known: list[str]) -> str:
        """Returns the tab that opens beside those that are known; the current one stays."""
        return str(self._wait(lambda: next(iter(set(self.tabs) - set(known)), None), "no tab opened"))

    def set_offline(self, offline: bool) -> None:
        """Firefox's own switch leaves connections to this machine open."""
        self.driver.set_pref("network.proxy.type", 1 if offline else 0)

    def sign_in(self, user: User) -> None:
        """Give the browser the cookies of a new device session, as the sign-in page does."""
        # Here, because Django is not set up where this module only installs a Firefox.
        from sidekick.accounts import device_sessions, tokens

        if not self.path.startswith("/"):
            # A cookie belongs to the site that is open.
            self.open("/healthz")
        pair = device_sessions.start(user, ip="127.0.0.1", user_agent="tests")
        for name, value in ((tokens.ACCESS_COOKIE, pair.access), (tokens.REFRESH_COOKIE, pair.refresh)):
            self.driver.add_cookie({"name": name, "value": value, "path": "/", "httpOnly": True, "sameSite": "Lax"})

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page, as one of its own would; `return` hands a value back."""
        return self.driver.execute_script(script, script_args=arguments, sandbox=None)

    def wait_until(self, condition: str, *arguments: object) -> None:
        """Wait until a JavaScript expression is true."""
        self._wait(lambda: self.run(f"return {condition}", *arguments), f"never true: {condition}")

    def wait_for_path(self, path: str) -> None:
        self._wait(lambda: self.path == path, f"never at {path}")

    def find(self, selector: str, words: str = "") -> WebElement:
        """Returns the first visible element of a CSS selector that contains these words, once there is one."""
        found = self._wait(lambda: self.run(SHOWN, selector, words), f"no {selector} with {words!r}")
        return found[0]

    def wait_gone(self, selector: str, words: str = "") -> None:
        self._wait(lambda: not self.run(SHOWN, selector, words), f"{selector} with {words!r} stays")

    def click(self, selector: str, words: str = "", *, held: str = "", button: int = MouseButton.LEFT) -> None:
        """Click with a real pointer, perhaps while a key is held: `held=Keys.CONTROL`, `button=MouseButton.MIDDLE`."""
        if held:
            ActionSequence(self.driver, "key", "keyboard").key_down(held).perform()
        # A page that still moves carries the element away; nothing was clicked then.
        moved = (MoveTargetOutOfBoundsException, StaleElementException)
        wait = Wait(self.driver, timeout=SECONDS, ignored_exceptions=moved)
        wait.until(lambda _: self._point(self.find(selector, words), button))
        if held:
            ActionSequence(self.driver, "key", "keyboard").key_up(held).perform()

    def _point(self, element: WebElement, button: int) -> bool:
        self.run("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", element)
        pointer = ActionSequence(self.driver, "pointer", "mouse", {"pointerType": "mouse"})
        pointer.click(element, button=button).perform()
        return True

    def fill(self, selector: str, words: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(words)

    def text(self, selector: str) -> str:
        return str(self.driver.find_element(By.CSS_SELECTOR, selector).text)

    def _wait(self, condition: Any, message: str) -> Any:
        # A page on its way out fails any command.
        wait = Wait(self.driver, timeout=SECONDS, ignored_exceptions=MarionetteException)
        return wait.until(lambda _: condition(), message=message)


def find() -> str | None:
    """The path of a Firefox, or None."""
    for candidate in (os.environ.get("FIREFOX"), *map(shutil.which, NAMES)):
        if candidate and Path(candidate).exists():
            return candidate
    return None


def install() -> str | None:
    debian.install("firefox-esr")
    return find()


if __name__ == "__main__":
    path = find() or install()
    sys.stdout.write(f"Firefox tests use {path}.\n" if path else f"{ADVICE}\n")
