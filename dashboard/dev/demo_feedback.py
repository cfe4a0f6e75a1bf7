"""Reports of the demo accounts, in every state, answered by the demo operator through the same code as real ones."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO

from PIL import Image, ImageDraw

from feedback import images, submission, triage
from feedback.models import Report
from sidekick.accounts.models import User

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
BUG, FEATURE = Report.Kind.BUG, Report.Kind.FEATURE
LOW, MEDIUM, HIGH = Report.Priority.LOW, Report.Priority.MEDIUM, Report.Priority.HIGH
Status = Report.Status


@dataclass(frozen=True, slots=True)
class DemoReport:
    """One report of a demo customer, and its answers: (days ago, status, reply)."""

    days: int
    kind: Report.Kind
    title: str
    description: str
    priority: Report.Priority
    page: str = "/dashboard/credits"
    version: str = ""
    picture: bool = False
    answers: tuple[tuple[int, Report.Status, str], ...] = ()


REPORTS = {
    "free@example.com": (
        DemoReport(
            6, BUG, "Copy button does nothing in long answers",
            "In answers longer than a screen the copy button at the end has no effect. At the top it works.", MEDIUM,
            version="2.4.1",
        ),
    ),
    "starter@example.com": (
        DemoReport(
            41, BUG, "Sidekick loses the microphone after sleep",
            "1. Start dictating\n2. Close the lid for a minute\n3. Open it again\n\nThe microphone stays off until "
            "I restart the app.", HIGH, version="2.3.0",
            answers=(
                (40, Status.TRIAGED, ""),
                (33, Status.IN_PROGRESS, ""),
                (20, Status.DONE, ("Fixed in 2.4.0: Sidekick asks for the microphone again when your computer wakes "
                 "up. Thank you for the exact steps, they led us straight to it.")),
            ),
        ),
        DemoReport(
            9, FEATURE, "Search within a conversation",
            "I keep long conversations for weeks and can’t find what was said. A search field would help.", MEDIUM,
            answers=((7, Status.PLANNED, "We want this too. It is planned for the coming months."),),
        ),
    ),
    "pro@example.com": (
        DemoReport(
            58, FEATURE, "Share a conversation as a link", "My team should be able to read along.", LOW,
            answers=((50, Status.DECLINED, ("We won’t build this for now: conversations are private, and we found no "
                      "way to share them that keeps them so. You can export one as a file.")),),
        ),
        DemoReport(
            12, BUG, "Requests table jumps back to page 1",
            "I filter by model, go to page 3, switch to another tab of the browser and come back. Sometimes the table "
            "is on page 1 again.\n\nThe picture shows the table after it jumped.", MEDIUM, picture=True,
            answers=((11, Status.TRIAGED, ""), (2, Status.IN_PROGRESS, "We can see it happen and are working on it.")),
        ),
        DemoReport(
            1, FEATURE, "Keyboard shortcut for the model picker",
            "I change models twenty times a day. A shortcut would save the trip to the mouse.", LOW, version="2.4.1",
        ),
    ),
}  # fmt: skip


def make_reports(user: User, operator: User, now: datetime) -> None:
    """Make an account's reports, unless it has some."""
    if not user.reports.exists():
        for demo in REPORTS[user.email]:
            _make(demo, user, operator, now)


def _make(demo: DemoReport, user: User, operator: User, now: datetime) -> None:
    unsaved = Report(
        account=user,
        kind=demo.kind,
        title=demo.title,
        description=demo.description,
        priority=demo.priority,
        page=demo.page,
        browser=BROWSER,
        app_version=demo.version,
    )
    added = [("requests-table.png", images.clean(_picture()))] if demo.picture else []
    sent_at = now - timedelta(days=demo.days, hours=2)
    report = submission.send(unsaved, form_token=uuid.uuid4(), kept=[], added=added, now=sent_at)
    for days, status, reply in demo.answers:
        at = now - timedelta(days=days, hours=1)
        triage.answer(report.pk, status=status, reply=reply or None, by=operator, reason="Weekly triage.", now=at)


def _picture() -> bytes:
    """A picture that looks like the screenshot of a table."""
    picture = Image.new("RGB", (960, 540), "#f6f8f8")
    pen = ImageDraw.Draw(picture)
    pen.rounded_rectangle((40, 40, 920, 500), 12, fill="#ffffff", outline="#d5dcdc")
    for row in range(9):
        top = 70 + row * 47
        pen.line((41, top + 32, 919, top + 32), fill="#e6ebeb")
        for left, width in ((70, 150), (280, 220), (560, 90), (700, 90), (840, 50)):
            pen.rounded_rectangle((left, top, left + width - row * 7 % 30, top + 12), 6, fill="#b9c4c4")
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
