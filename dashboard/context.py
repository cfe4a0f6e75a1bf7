"""What every page shows around its content. Nothing here asks the database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

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
        "theme": theme(request),
        "home_url": settings.HOME_URL,
        "pricing_url": settings.PRICING_URL,
        "development": not settings.PRODUCTION,
        # A request refused before htmx's middleware ran has no `htmx`.
        "swap": hasattr(request, "htmx") and is_fragment(request),
    }


@cache
def assets() -> SafeString:
    """Style sheets and scripts of every page: thirty addresses that never change while the process lives."""
    return render_to_string("dashboard/_assets.html")


def tabs(path: str) -> list[Tab]:
    """The three sections; every page below a section's address marks its tab."""
    urls = _urls()
    return [
        Tab(label, icon, urls[name], active=path == urls[name] or path.startswith(urls[name] + "/"))
        for name, label, icon in SECTIONS
    ]


@cache
def _urls() -> dict[str, str]:
    return {name: reverse(name) for name, _, _ in SECTIONS}


def theme(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(THEME_COOKIE)
    return chosen if chosen in THEMES else "system"
