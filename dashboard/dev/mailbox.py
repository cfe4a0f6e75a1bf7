"""Email of a development machine: nothing leaves it; every message can be read at /dev/mail."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import wraps
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from dashboard.dev.email_samples import SAMPLES

SHOWN = 100
# An email may style itself, and can do nothing else: no script, no picture, no form.
SEALED = {
    "default-src": [NONE],
    "style-src": [UNSAFE_INLINE],
    "frame-ancestors": [SELF],
    "sandbox": ["allow-top-navigation-by-user-activation"],
}


class EmailBackend(ConsoleEmailBackend):
    """Prints each message, as Django's console backend does, and keeps it as a file."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        folder = Path(settings.EMAIL_FILE_PATH)
        folder.mkdir(parents=True, exist_ok=True)
        for message in email_messages:
            # The time comes first, so that names sort as messages were sent.
            file = folder / f"{time.time_ns()}-{secrets.token_hex(4)}.eml"
            file.write_bytes(message.message().as_bytes())
        return super().send_messages(email_messages) or 0


@dataclass(frozen=True)
class Mail:
    name: str
    sender: str
    to: str
    subject: str
    text: str
    html: str
    sent_at: datetime


def development_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        # Through a tunnel for Paddle's sandbox everybody could read the codes.
        if settings.PRODUCTION or urlsplit(settings.SITE_URL).hostname not in settings.LOCAL:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@development_only
def inbox(request: HttpRequest) -> HttpResponse:
    files = sorted(Path(settings.EMAIL_FILE_PATH).glob("*.eml"), reverse=True)[:SHOWN]
    return render(request, "dashboard/mailbox.html", {"title": "Mailbox", "mails": [read(file) for file in files]})


@development_only
def message(request: HttpRequest, name: str) -> HttpResponse:
    file = Path(settings.EMAIL_FILE_PATH) / f"{name}.eml"
    if not file.is_file():
        raise Http404
    mail = read(file)
    return render(request, "dashboard/mail.html", {"title": mail.subject, "mail": mail})


@development_only
def message_html(request: HttpRequest, name: str) -> HttpResponse:
    file = Path(settings.EMAIL_FILE_PATH) / f"{name}.eml"
    if not file.is_file():
        raise Http404
    return sealed(request, read(file).html)


@development_only
def gallery(request: HttpRequest) -> HttpResponse:
    """Every letter that can be written, with sample data."""
    rows = [(name, sample, sample.render()[0]) for name, sample in SAMPLES.items()]
    return render(request, "dashboard/letters.html", {"title": "Letters", "rows": rows})


@development_only
def letter(request: HttpRequest, name: str) -> HttpResponse:
    if name not in SAMPLES:
        raise Http404
    subject, text, _ = SAMPLES[name].render()
    context = {"title": subject, "name": name, "sample": SAMPLES[name], "text": text}
    return render(request, "dashboard/letter.html", context)


@development_only
def letter_html(request: HttpRequest, name: str) -> HttpResponse:
    if name not in SAMPLES:
        raise Http404
    return sealed(request, SAMPLES[name].render()[2])


def sealed(request: HttpRequest, html: str) -> HttpResponse:
    """For a frame of ours; what a link in it leads to opens in the whole window."""
    answer = HttpResponse(html.replace("<head>", '<head><base target="_top">', 1))
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return csp_replace(SEALED)(lambda _: answer)(request)  # type: ignore[return-value]


def read(file: Path) -> Mail:
    parsed = message_from_bytes(file.read_bytes(), policy=policy.default)
    text, html = (parsed.get_body((kind,)) for kind in ("plain", "html"))
    return Mail(
        name=file.stem,
        sender=str(parsed["From"]),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
        sent_at=datetime.fromtimestamp(int(file.stem.split("-")[0]) / 1e9, UTC),
    )
