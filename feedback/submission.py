"""A report arrives: once, and no more than ten in an hour (F2, F3)."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from feedback import drafts, webhook
from feedback.drafts import Named
from feedback.models import Report, ReportChange, ReportImage
from sidekick.accounts import emails

MOST_IN_AN_HOUR = 10
HOUR = timedelta(hours=1)
# The same words again within this time are the same report: two tabs, or Back and send.
SAME_WITHIN = timedelta(minutes=10)


class TooMany(Exception):
    """Nothing was stored. The next report is taken at `again_at`."""

    def __init__(self, again_at: datetime) -> None:
        super().__init__(again_at)
        self.again_at = again_at


class ImagesGone(Exception):
    """Nothing was stored: an image that should have been kept from the last try is there no more."""


@transaction.atomic
def send(
    report: Report, *, form_token: uuid.UUID, kept: Collection[uuid.UUID], added: list[Named], now: datetime
) -> Report:
    """Store an unsaved report with its images, confirm it by email, and have it forwarded; or answer the one stored
    before that this would only repeat.

    `kept` are images of the form's last try, `added` are new and checked. Raises `TooMany` and `ImagesGone`.
    """
    report.seal(form_token)
    drafts.lock(report.account)
    same = Report.objects.same_as(report, since=now - SAME_WITHIN).first()
    if same:
        # The same words from another form, this time with the screenshot that was forgotten.
        if same.token != report.token and not same.images.exists():
            _add_images(same, form_token, kept, added, now)
        return same
    _not_too_many(report, now)
    if ReportImage.objects.kept(report.account, form_token).filter(id__in=kept).count() < len(kept):
        raise ImagesGone
    report.account_email = report.account.email
    report.created_at = report.changed_at = now
    report.save(force_insert=True)
    _add_images(report, form_token, kept, added, now)
    webhook.enqueue(ReportChange.objects.create(report=report, status=report.status, created_at=now))
    emails.write(
        "feedback/email/received",
        to=report.account,
        context={"report": report, "url": settings.SITE_URL + report.get_absolute_url()},
        key=f"feedback:{report.id}:received",
    )
    return report


def _add_images(
    report: Report, form_token: uuid.UUID, kept: Collection[uuid.UUID], added: list[Named], now: datetime
) -> None:
    waiting = ReportImage.objects.kept(report.account, form_token)
    waiting.filter(id__in=kept).update(report=report)
    waiting.delete()
    drafts.attach(report, report.account, form_token, added, now)


def _not_too_many(report: Report, now: datetime) -> None:
    """Only what was stored counts: an error costs nobody an attempt."""
    lately = Report.objects.filter(account=report.account, created_at__gt=now - HOUR).order_by("-created_at")
    tenth = lately.values_list("created_at", flat=True)[MOST_IN_AN_HOUR - 1 : MOST_IN_AN_HOUR].first()
    if tenth:
        raise TooMany(tenth + HOUR)
