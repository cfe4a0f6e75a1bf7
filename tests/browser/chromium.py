"""A Chromium for the browser tests: the one that is here, Debian's package, or Playwright's own.

`python -m tests.browser.chromium` installs what is missing, where it can, and says what to do where it can't.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests import debian

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ADVICE = (
    "No Chromium was found and none could be installed. Install one (Debian: apt-get install chromium) or say where "
    "it is: CHROMIUM=/path/to/chromium make test"
)


def find() -> str | None:
    """The path of a Chromium, or None."""
    for candidate in (os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)):
        if candidate and Path(candidate).exists():
            return candidate
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def install() -> str | None:
    debian.install("chromium")
    if found := find():
        return found
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    return find()


if __name__ == "__main__":
    path = find() or install()
    sys.stdout.write(f"Browser tests use {path}.\n" if path else f"{ADVICE}\n")
