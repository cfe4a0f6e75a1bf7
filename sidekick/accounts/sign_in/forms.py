"""allauth's forms in the project's words."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms


class ChangePasswordForm(account.ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_passwords(self)


class SetPasswordForm(account.SetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_passwords(self)


class ResetPasswordKeyForm(account.ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _name_passwords(self)


class PasskeyNameForm(forms.Form):
    name = forms.CharField(
        label="Name",
        max_length=60,
        help_text="So that you know it again: the device or the password manager it is in.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class AddPasskeyForm(PasskeyNameForm, AddWebAuthnForm):
    """One kind only: every passkey signs in by itself, so the device must check who uses it."""

    passwordless = forms.BooleanField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The browser has made the passkey by then; it must not be lost for want of a name.
        self.fields["name"].required = False

    def clean_passwordless(self) -> bool:
        return True


class RenamePasskeyForm(PasskeyNameForm, EditWebAuthnForm):
    pass


def _name_passwords(form: forms.Form) -> None:
    form.fields["password1"].label = "New password"
    form.fields["password2"].label = "New password, again"
