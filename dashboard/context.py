"""Template variables of every page: tabs, theme, and addresses that settings give. None needs a query."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from dashboard import owners_pages
from sidekick.web.rendering import is_fragment

THEME_COOKIE = "theme"
THEMES = ("light", "dark", "system")
SECTIONS = (
    ("credits:requests", "Credits", "gauge"),
    ("feedback:form", "Feedback", "message-square"),
    ("billing:overview", "Billing", "credit-card"),
)


@dataclass(frozen=True)
class Tab:
    label: str
    icon: str
    url: str
    active: bool


def context(request: HttpRequest) -> dict[str, Any]:
    return {
        "tabs": tabs(request.path),
        "assets": assets(),
        "theme": theme_of(request),
        "home_url": settings.HOME_URL,
        "pricing_url": settings.PRICING_URL,
        "owners_pages": owners_pages.links(),
        "development": settings.DEVELOPMENT,
        # A request that was refused before htmx's middleware ran has no `htmx`.
        "swap": hasattr(request, "htmx") and is_fragment(request),
    }


@cache
def assets() -> SafeString:
    """The tags of all style sheets and scripts, which stay the same while the process lives."""
    return render_to_string("dashboard/_assets.html")


def tabs(path: str) -> list[Tab]:
    """The tabs of the sections. A page whose path is below a section's marks its tab."""
    urls = _urls()
    return [
        Tab(label, icon, urls[name], active=path == urls[name] or path.startswith(urls[name] + "/"))
        for name, label, icon in SECTIONS
    ]


@cache
def _urls() -> dict[str, str]:
    return {name: reverse(name) for name, _, _ in SECTIONS}


def theme_of(request: HttpRequest) -> str:
    """Returns "light", "dark" or "system"."""
    chosen = request.COOKIES.get(THEME_COOKIE)
    return chosen if chosen in THEMES else "system"
