"""`{% icon "sun" %}`: an icon of `templates/icons`, read once. A page has twenty, and an include renders each anew."""

from __future__ import annotations

from functools import cache

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    return render_to_string(f"icons/{name}.html")
