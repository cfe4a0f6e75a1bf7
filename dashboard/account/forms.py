"""What customers may fill in about themselves."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.html import format_html

from sidekick.accounts.models import User

REGIONS = ["Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"]


@cache
def zones() -> list[tuple[str, list[tuple[str, str]]]]:
    """Time zones by region, as (name, words). The database of zones also has other names of the same places."""
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
            "balance_emails": "At 20 % and 5 % of a period’s credits, at none, and before rolled-over credits lapse.",
        }
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError("Choose a time zone from the list.")
        return zone


class FarewellForm(forms.Form):
    """The address, typed once more, so that nobody deletes an account with one click too many."""

    email = forms.CharField(label="Your email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))

    def __init__(self, account: User, data: Any = None) -> None:
        super().__init__(data, auto_id="farewell_%s")
        self.account = account
        # Help texts are rendered as they are, and an address may hold what HTML means something by.
        self.fields["email"].help_text = format_html("Type {} to confirm.", account.email)

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip()
        if email.lower() != self.account.email:
            raise forms.ValidationError("This is not the email of your account.")
        return email
