"""Two groups for those who need not be superusers: who helps customers, and who answers for money."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand

# Beside these, both see every table of the admin, and usage in the timeline.
SEES_TOO = ["credits.view_usagerollup"]
GROUPS = {
    "Support": [
        "accounts.change_user",
        "accounts.change_devicesession",
        "accounts.change_letter",
        "credits.add_grant",
        "feedback.change_report",
    ],
    "Finance": [
        "credits.add_grant",
        "credits.change_grant",
        "billing.change_waitingpayment",
        "billing.change_paddleevent",
    ],
}


class Command(BaseCommand):
    help = "Make the groups Support and Finance, or give them their rights again. Nobody is put into them."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, changes in GROUPS.items():
            group, _ = Group.objects.get_or_create(name=name)
            rights = [_right(each) for each in [*_views(), *SEES_TOO, *changes]]
            group.permissions.set(rights)
            self.stdout.write(f"{name}: {len(rights)} rights")


def _views() -> list[str]:
    return [f"{model._meta.app_label}.view_{model._meta.model_name}" for model in admin.site._registry]


def _right(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)
