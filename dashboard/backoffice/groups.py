"""The groups of operators who need not be superusers, and their rights (O1)."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group, Permission

# Both groups see every table of the admin, and usage in the timeline.
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


def update(name: str) -> int:
    """Make the group, or give it its rights again. Returns how many they are."""
    group, _ = Group.objects.get_or_create(name=name)
    rights = [_right(each) for each in [*_views(), *SEES_TOO, *GROUPS[name]]]
    group.permissions.set(rights)
    return len(rights)


def _views() -> list[str]:
    return [f"{model._meta.app_label}.view_{model._meta.model_name}" for model in admin.site._registry]


def _right(name: str) -> Permission:
    app, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)
