from __future__ import annotations

import pytest
from django import forms

from dashboard.account.forms import ProfileForm
from feedback.admin.forms import AnswerForm
from sidekick.accounts.sign_in.forms import PasskeyNameForm
from sidekick.admin.reasons import ReasonForm
from sidekick.fields import EmailField


class Form(forms.Form):
    email = EmailField()


@pytest.mark.django_db
def test_invisible_words_fill_no_field() -> None:  # A10 O1
    assert "reason" in ReasonForm({"reason": "\u200b" * 5}).errors
    answer = AnswerForm({"reason": "They asked.", "status": "", "reply": "\u200b\u00ad"})
    assert answer.errors == {"__all__": ["Choose a status or write a reply."]}
    assert "name" in PasskeyNameForm({"name": "\u2060"}).errors
    profile = ProfileForm({"name": "\u200b", "time_zone": "UTC"})
    assert profile.is_valid()
    assert profile.cleaned_data["name"] == ""


def test_an_email_is_cleaned_or_refused_in_words() -> None:  # A1
    assert Form({"email": " Al\u200bice@Example.com"}).errors == {}
    assert Form({"email": "\u200b"}).errors == {"email": ["This field is required."]}
    assert Form({"email": "ali ce@example.com"}).errors == {"email": ["Take the space out of the email address."]}


def test_an_email_field_is_for_emails_and_leaves_judging_to_us() -> None:
    html = str(Form()["email"])
    for attribute in ('type="text"', 'inputmode="email"', 'autocomplete="email"', 'autocapitalize="none"'):
        assert attribute in html
