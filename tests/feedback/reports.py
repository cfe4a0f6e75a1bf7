"""Reports made and posted for tests."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from feedback import images, submission
from feedback.models import Report
from sidekick.accounts.models import User
from tests.feedback import pictures

BUG, FEATURE = "/dashboard/feedback", "/dashboard/feedback/feature"
REPORTS = "/dashboard/feedback/reports"
WORDS = {
    "title": "The chart is empty",
    "description": "I opened Credits.\r\nThe chart had no bars.",
    "priority": "high",
}
SWAP = {"HX-Request": "true", "HX-Target": "main"}


def upload(content: bytes, name: str = "shot.png", media_type: str = "image/png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, media_type)


def post(
    client: Client,
    path: str = BUG,
    *files: SimpleUploadedFile,
    headers: dict[str, str] | None = None,
    **changed: Any,
) -> Any:
    """Send the form; `changed` overrides what stands in it."""
    data = {**WORDS, "token": str(uuid.uuid4()), **changed}
    if files:
        data["images"] = list(files)
    return client.post(path, data, headers=headers)


def made(
    account: User, *, now: datetime | None = None, pictured: int = 0, token: uuid.UUID | None = None, **changed: Any
) -> Report:
    """A stored report."""
    words = {"kind": "bug", "title": f"Report {uuid.uuid4()}", "description": "It broke.", "priority": "low", **changed}
    added = [(f"shot-{n}.png", images.clean(pictures.png(64 + n))) for n in range(pictured)]
    return submission.send(
        Report(account=account, **words),
        form_token=token or uuid.uuid4(),
        kept=[],
        added=added,
        now=now or timezone.now(),
    )
