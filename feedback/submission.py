"""A report arrives: once, at most ten in an hour, and with the images of earlier tries (F2, F3)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from feedback import webhook
from feedback.images import NamedPicture
from feedback.models import Report, ReportChange, ReportImage
from sidekick.accounts import emails
from sidekick.accounts.models import User

MOST_IN_AN_HOUR = 10
HOUR = timedelta(hours=1)
# Two reports with the same words within this time are one: sent from two tabs, or again after Back.
SAME_WITHIN = timedelta(minutes=10)
# Images of all open forms of one account; the oldest are dropped first.
MOST_KEPT = 12


class TooManyReports(Exception):
    """Nothing was stored. The next report is taken at `again_at`, in UTC."""

    def __init__(self, again_at: datetime) -> None:
        super().__init__(again_at)
        self.again_at = again_at


class KeptImagesGone(Exception):
    """Nothing was stored: an image that was kept from an earlier try has been dropped since."""


@transaction.atomic
def send(
    report: Report, *, form_token: uuid.UUID, kept: Collection[uuid.UUID], added: list[NamedPicture], now: datetime
) -> Report:
    """Store an unsaved report with its images, confirm it by email and have it forwarded.

    Returns the stored report, or the earlier one that this would only repeat. `kept` are ids of images from earlier
    tries of the same form, `added` are new ones that were checked. Raises `TooManyReports` and `KeptImagesGone`.
    """
    report.seal(form_token)
    _lock(report.account)
    same = Report.objects.same_as(report, since=now - SAME_WITHIN).first()
    if same:
        # Sent again from another form, this time with the screenshot that was forgotten.
        if same.token != report.token and not same.images.exists():
            _add_images(same, form_token, kept, added, now)
        return same
    _refuse_too_many(report, now)
    if ReportImage.objects.kept(report.account, form_token).filter(id__in=kept).count() < len(kept):
        raise KeptImagesGone
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


@transaction.atomic
def keep_images(
    account: User, form_token: uuid.UUID, ticked: Iterable[uuid.UUID], added: list[NamedPicture], now: datetime
) -> list[ReportImage]:
    """Keep the images of a form that was refused, for its next try (F3).

    Returns what the form has now: images kept before that are still ticked, and those just added, without contents.
    """
    _lock(account)
    kept = ReportImage.objects.kept(account, form_token)
    kept.exclude(id__in=list(ticked)).delete()
    _store(None, account, form_token, _without(kept, added), now)
    oldest = ReportImage.objects.filter(account=account, report=None).order_by("-number")[MOST_KEPT:]
    ReportImage.objects.filter(number__in=list(oldest.values_list("number", flat=True))).delete()
    return list(kept.defer("content"))


def _lock(account: User) -> None:
    """Let one form of the account through at a time, until the transaction ends."""
    # no_key: rows that only refer to the account are still written meanwhile.
    locked: QuerySet[User] = User.objects.select_for_update(no_key=True).filter(pk=account.pk)
    # Its owner may have deleted it a moment ago, and then its email must not be stored again.
    account.email, account.deleted_at = locked.values_list("email", "deleted_at").get()


def _refuse_too_many(report: Report, now: datetime) -> None:
    # Only stored reports count: a form with an error costs no attempt.
    lately = Report.objects.filter(account=report.account, created_at__gt=now - HOUR).order_by("-created_at")
    tenth = lately.values_list("created_at", flat=True)[MOST_IN_AN_HOUR - 1 : MOST_IN_AN_HOUR].first()
    if tenth:
        raise TooManyReports(tenth + HOUR)


def _add_images(
    report: Report, form_token: uuid.UUID, kept: Collection[uuid.UUID], added: list[NamedPicture], now: datetime
) -> None:
    waiting = ReportImage.objects.kept(report.account, form_token)
    added = _without(waiting.filter(id__in=kept), added)
    waiting.filter(id__in=kept).update(report=report)
    waiting.delete()
    _store(report, report.account, form_token, added, now)


def _without(kept: QuerySet[ReportImage], added: list[NamedPicture]) -> list[NamedPicture]:
    """The pictures that aren't kept already: a file that is chosen again after an error is one image."""
    alike = kept.filter(size__in=[len(picture.content) for _, picture in added]) if added else kept.none()
    contents = {bytes(content) for content in alike.values_list("content", flat=True)}
    return [(name, picture) for name, picture in added if picture.content not in contents]


def _store(
    report: Report | None, account: User, form_token: uuid.UUID, added: list[NamedPicture], now: datetime
) -> None:
    ReportImage.objects.bulk_create(
        ReportImage(
            account=account,
            report=report,
            form_token=form_token,
            name=name,
            content=picture.content,
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            size=len(picture.content),
            created_at=now,
        )
        for name, picture in added
    )
