"""Template tags for the stamp. `csrf_token` takes the place of Django's, so that no form can miss it."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.http import HttpRequest
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sidekick.accounts.stamps.stamp import FIELD, stamp_for

register = template.Library()


class StampedTokenNode(CsrfTokenNode):
    """Django's field, and beside it the account that the form was drawn for."""

    def render(self, context: Context) -> SafeString:
        field = super().render(context)
        request: HttpRequest | None = context.get("request")
        if not field or request is None:
            return SafeString(field)
        return SafeString(field + format_html('<input type="hidden" name="{}" value="{}">', FIELD, stamp_for(request)))


@register.tag
def csrf_token(parser: Parser, token: Token) -> StampedTokenNode:
    return StampedTokenNode()


@register.simple_tag(takes_context=True)
def account_meta(context: Context) -> SafeString:
    """The stamp for requests of scripts, and the cookie that holds the CSRF token of now."""
    request: HttpRequest | None = context.get("request")
    if request is None:
        return SafeString("")
    words = '<meta name="sidekick-account" content="{}" data-csrf-cookie="{}">'
    return format_html(words, stamp_for(request), settings.CSRF_COOKIE_NAME)
