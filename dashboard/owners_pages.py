"""Terms, privacy policy and support, which the owner writes elsewhere; placeholders stand for them until then."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.urls import reverse

# The setting with the address of each page, by the word in its placeholder's address.
SETTINGS: dict[str, str] = {name.removesuffix("_URL").lower(): name for name in settings.OWNERS_PAGES}


def links() -> list[tuple[str, str]]:
    """Returns label and address of each page, for the footer."""
    return [(page.capitalize(), getattr(settings, name) or _placeholder(page)) for page, name in SETTINGS.items()]


@cache
def _placeholder(page: str) -> str:
    return reverse("dashboard:placeholder", args=[page])
