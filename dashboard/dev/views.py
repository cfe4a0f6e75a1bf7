"""Pages of the mailbox, and of samples of all emails."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from dashboard.dev.email_samples import SAMPLES, Sample
from dashboard.dev.mailbox import StoredMessage, find, newest

SHOWN = 100
# An email may style itself and do nothing else: no script, no picture, no form.
SEALED = {
    "default-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-top-navigation-by-user-activation"],
}


def development_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        # A tunnel for Paddle's sandbox would show everybody the codes.
        if settings.PRODUCTION or urlsplit(settings.SITE_URL).hostname not in settings.LOCAL:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@development_only
def mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "dev/mailbox.html", {"title": "Mailbox", "stored": newest(SHOWN)})


@development_only
def message(request: HttpRequest, name: str) -> HttpResponse:
    found = _message_or_404(name)
    return render(request, "dev/message.html", {"title": found.subject, "message": found})


@development_only
def message_html(request: HttpRequest, name: str) -> HttpResponse:
    return _sealed(request, _message_or_404(name).html)


@development_only
def emails(request: HttpRequest) -> HttpResponse:
    """Every email that can be sent, with sample data."""
    rows = [(name, sample, sample.render()[0]) for name, sample in SAMPLES.items()]
    return render(request, "dev/emails.html", {"title": "Emails", "rows": rows})


@development_only
def email(request: HttpRequest, name: str) -> HttpResponse:
    sample = _sample_or_404(name)
    subject, text, _ = sample.render()
    return render(request, "dev/email.html", {"title": subject, "name": name, "sample": sample, "text": text})


@development_only
def email_html(request: HttpRequest, name: str) -> HttpResponse:
    return _sealed(request, _sample_or_404(name).render()[2])


def _message_or_404(name: str) -> StoredMessage:
    found = find(name)
    if found is None:
        raise Http404
    return found


def _sample_or_404(name: str) -> Sample:
    if name not in SAMPLES:
        raise Http404
    return SAMPLES[name]


def _sealed(request: HttpRequest, html: str) -> HttpResponse:
    # A link in the frame opens in the whole window.
    response = HttpResponse(html.replace("<head>", '<head><base target="_top">', 1))
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return csp_replace(SEALED)(lambda _: response)(request)  # type: ignore[return-value]
