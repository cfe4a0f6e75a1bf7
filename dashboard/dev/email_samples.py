"""Samples of all emails, with made-up content, for /dev/mail/letters. A test finds the one that is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django.conf import settings

from credits.models import Plan
from feedback.models import Report, ReportChange
from sidekick.accounts import emails
from sidekick.accounts.models import User

NOW = datetime(2026, 5, 3, 12, 5, tzinfo=UTC)
MAYA = User(email="maya@example.com", time_zone="Europe/Berlin")
FREE = Plan(slug="free", name="Free", monthly_credits=Decimal(50), rollover_percent=0)
STARTER = Plan(slug="starter", name="Starter", monthly_credits=Decimal(250))
PRO = Plan(slug="pro", name="Pro", monthly_credits=Decimal(1000), may_buy_credits=True)
DEVICE = {"timestamp": NOW, "browser": "Firefox on Windows", "ip": "203.0.113.7"}
CODE = {"code": "K7QM-2XPD"}
GOOGLE = {"provider": SimpleNamespace(name="Google")}
BUG = Report(kind=Report.Kind.BUG, title="The chart is empty", number=1042, status=Report.Status.PLANNED)
REPORT = {"report": BUG, "url": settings.SITE_URL + "/dashboard/feedback"}
STOP = settings.SITE_URL + "/emails/stop/sample"


@dataclass(frozen=True, slots=True)
class Sample:
    """An email's template, when it is written, and the context of its template."""

    template: str
    when: str
    context: Mapping[str, Any] = field(default_factory=dict)

    def render(self) -> tuple[str, str, str]:
        """Subject, text and HTML."""
        return emails.render(self.template, {"to": MAYA.email, "account": MAYA, "unsubscribe": "", **self.context})


SAMPLES = {
    "verify": Sample("account/email/email_confirmation", "An address is added", CODE),
    "sign-up": Sample("account/email/email_confirmation_signup", "Someone signs up", CODE),
    "sign-in-code": Sample("account/email/login_code", "A sign-in code is asked for", CODE),
    "reset-code": Sample("account/email/password_reset_code", "A password is forgotten", CODE),
    "reauthentication-code": Sample(
        "account/email/reauthentication_code", "Something sensitive is about to be done", CODE
    ),
    "already-exists": Sample("account/email/account_already_exists", "Someone signs up who has an account"),
    "unknown-account": Sample("account/email/unknown_account", "Someone signs in who has no account"),
    "new-sign-in": Sample("account/email/new_sign_in", "A device signs in for the first time", DEVICE),
    "password-changed": Sample("account/email/password_changed", "A password is changed", DEVICE),
    "password-set": Sample("account/email/password_set", "A first password is set", DEVICE),
    "password-reset": Sample("account/email/password_reset", "A forgotten password is replaced", DEVICE),
    "email-changed": Sample(
        "account/email/email_changed",
        "The address is changed; to the old one",
        {**DEVICE, "from_email": "maya@example.com", "to_email": "maya@example.org"},
    ),
    "email-removed": Sample(
        "account/email/email_deleted", "An address is removed", {**DEVICE, "deleted_email": "maya@example.org"}
    ),
    "authenticator-added": Sample("mfa/email/totp_activated", "An authenticator app is added", DEVICE),
    "authenticator-removed": Sample("mfa/email/totp_deactivated", "An authenticator app is removed", DEVICE),
    "recovery-codes": Sample("mfa/email/recovery_codes_generated", "Recovery codes are made", DEVICE),
    "passkey-added": Sample("mfa/email/webauthn_added", "A passkey is added", DEVICE),
    "passkey-removed": Sample("mfa/email/webauthn_removed", "A passkey is removed", DEVICE),
    "connected": Sample("socialaccount/email/account_connected", "Google is connected", {**DEVICE, **GOOGLE}),
    "disconnected": Sample("socialaccount/email/account_disconnected", "Google is disconnected", {**DEVICE, **GOOGLE}),
    "account-deleted": Sample("dashboard/email/account_deleted", "An account is deleted; to its last address"),
    "payment-failed": Sample(
        "billing/email/payment_failed",
        "A renewal can’t be charged",
        {"plan": PRO, "free": FREE, "stays_until": NOW + timedelta(days=7)},
    ),
    "payment-failed-late": Sample(
        "billing/email/payment_failed",
        "The same, when its grace is over",
        {"plan": PRO, "free": FREE, "stays_until": None},
    ),
    "end-scheduled": Sample(
        "billing/email/end_scheduled",
        "A plan is cancelled",
        {"plan": PRO, "free": FREE, "at": NOW + timedelta(days=19)},
    ),
    "plan-ended": Sample(
        "billing/email/plan_ended", "A plan has ended", {"plan": PRO, "free": FREE, "at": NOW, "because": "canceled"}
    ),
    "plan-unpaid": Sample(
        "billing/email/plan_ended",
        "A plan stayed unpaid",
        {"plan": PRO, "free": FREE, "at": NOW, "because": "past_due"},
    ),
    "plan-paused": Sample(
        "billing/email/plan_ended", "A plan is paused", {"plan": PRO, "free": FREE, "at": NOW, "because": "paused"}
    ),
    **{
        f"balance-{level}": Sample(
            "credits/email/low_balance",
            f"{level}% of the period’s credits are left",
            {
                "level": level,
                "available": available,
                "total": "1,250.00",
                "plan": plan,
                "ends_at": NOW + timedelta(days=9),
                "unsubscribe": STOP,
            },
        )
        for level, available, plan in ((20, "249.37", STARTER), (5, "61.20", PRO), (0, "0.00", FREE))
    },
    "rollover-lapses": Sample(
        "credits/email/rollover_lapses",
        "Rolled-over credits expire in three days",
        {"left": "131.50", "ends_at": NOW + timedelta(days=3), "plan": PRO, "unsubscribe": STOP},
    ),
    "feedback-received": Sample("feedback/email/received", "Feedback is sent", REPORT),
    "feedback-changed": Sample(
        "feedback/email/changed",
        "Its status changes, or it is replied to",
        {**REPORT, "change": ReportChange(report=BUG, status=Report.Status.PLANNED, reply="Next week.")},
    ),
}
