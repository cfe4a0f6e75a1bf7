"""Email of a development machine: each message stays here as a file, which /dev/mail shows."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.console import EmailBackend as ConsoleEmailBackend


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
class StoredMessage:
    name: str
    sender: str
    to: str
    subject: str
    text: str
    html: str
    sent_at: datetime


def newest(count: int) -> list[StoredMessage]:
    files = sorted(Path(settings.EMAIL_FILE_PATH).glob("*.eml"), reverse=True)[:count]
    return [_read(file) for file in files]


def find(name: str) -> StoredMessage | None:
    file = Path(settings.EMAIL_FILE_PATH) / f"{name}.eml"
    return _read(file) if file.is_file() else None


def _read(file: Path) -> StoredMessage:
    parsed = message_from_bytes(file.read_bytes(), policy=policy.default)
    text, html = (parsed.get_body((kind,)) for kind in ("plain", "html"))
    return StoredMessage(
        name=file.stem,
        sender=str(parsed["From"]),
        to=str(parsed["To"]),
        subject=str(parsed["Subject"]),
        text=text.get_content() if text else "",
        html=html.get_content() if html else "",
        sent_at=datetime.fromtimestamp(int(file.stem.split("-")[0]) / 1e9, UTC),
    )
