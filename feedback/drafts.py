"""Images of a form that was refused: a browser can't fill them in again, so they wait here for the next try (F3)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from feedback.images import Picture
from feedback.models import Report, ReportImage
from sidekick.accounts.models import User

# Of all open forms of one account; whoever fills in more loses the oldest.
MOST_KEPT = 12
Named = tuple[str, Picture]


@transaction.atomic
def keep(
    account: User, form_token: uuid.UUID, ticked: Iterable[uuid.UUID], added: list[Named], now: datetime
) -> list[ReportImage]:
    """What this form has now: those kept before that are still ticked, and those just added."""
    lock(account)
    kept = ReportImage.objects.kept(account, form_token)
    kept.exclude(id__in=list(ticked)).delete()
    attach(None, account, form_token, added, now)
    oldest = ReportImage.objects.filter(account=account, report=None).order_by("-number")[MOST_KEPT:]
    ReportImage.objects.filter(number__in=list(oldest.values_list("number", flat=True))).delete()
    return list(kept.defer("content"))


def attach(report: Report | None, account: User, form_token: uuid.UUID, added: list[Named], now: datetime) -> None:
    """Store images that were checked."""
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


def lock(account: User) -> None:
    """One at a time per account, until the transaction ends. What only refers to the account goes on being written."""
    locked: QuerySet[User] = User.objects.select_for_update(no_key=True).filter(pk=account.pk)
    # Its owner may have deleted it a moment ago: nothing of it may be written down again.
    account.email, account.deleted_at = locked.values_list("email", "deleted_at").get()
