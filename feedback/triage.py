"""The team answers a report: status and public reply, with a reason, and an email to the customer (F4, F6)."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from feedback import webhook
from feedback.models import Report, ReportChange
from sidekick.accounts import emails
from sidekick.accounts.models import User


@transaction.atomic
def answer(
    number: int, *, status: str | None = None, reply: str | None = None, by: User, reason: str, now: datetime
) -> ReportChange | None:
    """Give a report another status, another public reply, or both; None leaves it as it is.

    Returns the change, or None where there was nothing to change. The customer gets an email, and the team's webhook
    an event. `reason` is for operators only.
    """
    report = Report.objects.select_for_update().get(pk=number)
    old_status, old_reply = report.status, report.reply
    report.status = old_status if status is None else status
    report.reply = old_reply if reply is None else reply
    if (report.status, report.reply) == (old_status, old_reply):
        return None
    report.changed_at = now
    report.save(update_fields=["status", "reply", "changed_at"])
    change = ReportChange.objects.create(
        report=report,
        status=report.status,
        was=old_status,
        reply=report.reply if report.reply != old_reply else "",
        by=by,
        reason=reason,
        created_at=now,
    )
    webhook.enqueue(change)
    _email_customer(report, change)
    return change


def _email_customer(report: Report, change: ReportChange) -> None:
    # A reply that was only withdrawn is no news.
    if not change.moved and not change.reply:
        return
    emails.write(
        "feedback/email/changed",
        to=User.objects.get(pk=report.account_id),
        context={"report": report, "change": change, "url": settings.SITE_URL + report.get_absolute_url()},
        key=f"feedback:{report.id}:{change.pk}",
    )
