"""Forms of the account page."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.html import format_html
from django.utils.text import get_text_list

from credits.reports import alerts
from sidekick.accounts.models import User
from sidekick.fields import EmailField
from sidekick.text import trimmed

LEVELS = get_text_list([f"{level}%" for level in sorted(alerts.LEVELS, reverse=True)], "and")
REGIONS = ["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"]


@cache
def zones() -> list[tuple[str, list[tuple[str, str]]]]:
    """Time zones as (region, [(name, place)]), for a select with groups."""
    # Names outside the regions are other names of the same places, such as "Turkey" or "US/Eastern".
    found = defaultdict(list)
    for name in sorted(available_timezones()):
        region, _, place = name.partition("/")
        if region in REGIONS:
            found[region].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("", [("UTC", "UTC")]), *found.items()]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("name", "time_zone", "balance_emails")
        labels = {"balance_emails": "Email me when my credits run low"}
        help_texts = {
            "name": "How we address you.",
            "time_zone": "Days and dates on your pages follow it.",
            "balance_emails": f"At {LEVELS} of a period’s credits, and before rolled-over credits expire.",
        }
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError("Choose a time zone from the list.")
        return zone

    def clean_name(self) -> str:
        return trimmed(self.cleaned_data["name"])


class DeletionForm(forms.Form):
    """The account's email, typed once more: one click too many deletes nothing."""

    email = EmailField(label="Your email", autocomplete="off")

    def __init__(self, account: User, data: Any = None) -> None:
        super().__init__(data, auto_id="deletion_%s")
        self.account = account
        # Help texts are rendered without escaping, and an email may contain `<`.
        self.fields["email"].help_text = format_html("Type {} to confirm.", account.email)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email != self.account.email:
            raise forms.ValidationError("This is not the email of your account.")
        return email
