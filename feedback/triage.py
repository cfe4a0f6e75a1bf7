"""The team answers: status and reply, each change with its reason, and an email to the customer (F4, F6)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from feedback import webhook
from feedback.models import Report, ReportChange
from sidekick.accounts import emails
from sidekick.accounts.models import User


@transaction.atomic
def change(
    number: int, *, status: str | None = None, reply: str | None = None, by: User, reason: str, now: datetime
) -> ReportChange | None:
    """Give a report another status, another public reply, or both; None stands for leaving it.

    Answers None, and tells nobody, where nothing would change.
    """
    report = Report.objects.select_for_update().get(pk=number)
    was, told = report.status, report.reply
    report.status = was if status is None else status
    report.reply = told if reply is None else reply
    if (report.status, report.reply) == (was, told):
        return None
    report.changed_at = now
    report.save(update_fields=["status", "reply", "changed_at"])
    done = ReportChange.objects.create(
        report=report,
        status=report.status,
        was=was,
        reply=report.reply if report.reply != told else "",
        by=by,
        reason=reason,
        created_at=now,
    )
    webhook.enqueue(done)
    _tell(report, done)
    return done


def _tell(report: Report, done: ReportChange) -> None:
    """A reply that was only taken back is no news."""
    if not done.moved and not done.reply:
        return
    emails.write(
        "feedback/email/changed",
        to=User.objects.get(pk=report.account_id),
        context={"report": report, "change": done, "url": settings.SITE_URL + report.get_absolute_url()},
        key=f"feedback:{report.id}:{done.pk}",
    )
