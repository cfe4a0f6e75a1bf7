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

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

SHOWN = 100


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
    sent_at: datetime


def development_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if settings.PRODUCTION:
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


def read(file: Path) -> Mail:
    parsed = message_from_bytes(file.read_bytes(), policy=policy.default)
    body = parsed.get_body(("plain", "html"))
    return Mail(
        name=file.stem,
        sender=str(parsed["From"]),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=body.get_content() if body else "",
        sent_at=datetime.fromtimestamp(int(file.stem.split("-")[0]) / 1e9, UTC),
    )
