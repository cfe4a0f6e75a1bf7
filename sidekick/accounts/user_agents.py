"""Names of browsers and systems, from the User-Agent header."""

from __future__ import annotations

# The order matters: almost every browser also claims to be Safari, and many claim to be Chrome.
PROGRAMS = (
    ("Sidekick/", "Sidekick app"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python", "A Python program"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)
UNKNOWN = "Unknown browser"


def in_words(user_agent: str) -> str:
    """ "Chrome on Windows"; unknown parts are left out. A browser may send any header."""
    program = next((words for mark, words in PROGRAMS if mark in user_agent), "")
    system = next((words for mark, words in SYSTEMS if mark in user_agent), "")
    if program and system:
        return f"{program} on {system}"
    return program or (f"{UNKNOWN} on {system}" if system else UNKNOWN)
