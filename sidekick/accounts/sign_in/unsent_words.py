"""Words posted without a session: kept in the flow's session until their author has signed in.

It is for browsers without scripts; with them the browser keeps the words itself (`static/js/drafts.js`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from sidekick.accounts.stamps.stamp import is_others, sent_stamp
from sidekick.serving.bodies import takes_body
from sidekick.web import rate_limits

KEY = "unsent_words"
MOST_CHARACTERS = 10_000
# The largest form that is read for its words; images make one larger.
MOST_BYTES = 64 * 1024


def keeps_words(*names: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Keep these fields of a form that is posted without a session, up to `MOST_CHARACTERS` of each."""

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @takes_body(signed_out=MOST_BYTES)
        @wraps(view)
        def keeping(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            is_load = request.method == "POST" and "HX-Request" not in request.headers
            if is_load and not request.user.is_authenticated:
                _keep(request, names)
            return view(request, *args, **kwargs)

        return keeping

    return decorate


def words_for(request: HttpRequest) -> dict[str, str]:
    """The words that the signed-in account posted to this address before it signed in; {} where there are none."""
    kept: dict[str, Any] | None = request.session.get(KEY)
    return dict(kept["words"]) if kept and _are_of(kept, request) and kept["path"] == request.path else {}


def forget(request: HttpRequest) -> None:
    request.session.pop(KEY, None)


def end_flow(request: HttpRequest) -> None:
    """Forget what the sign-in flow noted, but for words of the account that has signed in."""
    kept = request.session.get(KEY)
    request.session.flush()
    if _are_of(kept, request):
        request.session[KEY] = kept


def _are_of(kept: dict[str, Any] | None, request: HttpRequest) -> bool:
    return kept is not None and request.user.is_authenticated and not is_others(kept["stamp"], request.user)


def _keep(request: HttpRequest, names: tuple[str, ...]) -> None:
    # The stamp of the account that the form was drawn for decides who sees the words again, and nothing else.
    stamp = sent_stamp(request)
    # Each is a row of the session table that no account pays for.
    if not stamp or not rate_limits.allow(request, "unsent_words"):
        return
    words = {name: text for name in names if (text := request.POST.get(name, "")[:MOST_CHARACTERS])}
    request.session[KEY] = {"stamp": stamp[:64], "path": request.path, "words": words}
