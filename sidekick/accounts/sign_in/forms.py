"""allauth's forms in the project's words."""

from __future__ import annotations

from typing import Any

from allauth.account import forms as account
from allauth.core import context
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from sidekick.accounts.models import User
from sidekick.accounts.sign_in import email_and_next, unverified_sign_up
from sidekick.fields import EmailField, TrimmedField


class LoginForm(account.LoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Browsers offer passkeys in a field of these names (static/js/passkeys.js).
        self.fields["login"] = EmailField(autocomplete="username webauthn")
        reset = email_and_next.with_next(reverse("account_reset_password"), email_and_next.next_of(self.request))
        self.fields["password"].help_text = format_html('<a href="{}">Forgot your password?</a>', reset)
        self.order_fields(["login", "password"])


class SignupForm(account.SignupForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"] = EmailField()
        self.order_fields(["email", "password1"])

    def validate_unique_email(self, value: str) -> str:
        own = unverified_sign_up.begun_account(context.request)
        # The same address sent again after going back gets a code, not a letter about an account that exists.
        return value if own and own.email == value else str(super().validate_unique_email(value))

    def save(self, request: HttpRequest) -> User:
        email, password = self.cleaned_data["email"], self.cleaned_data["password1"]
        account: User = unverified_sign_up.correct_account(request, email=email, password=password) or super().save(
            request
        )
        return account


class RequestLoginCodeForm(account.RequestLoginCodeForm):
    email = EmailField(autocomplete="username")


class ResetPasswordForm(account.ResetPasswordForm):
    email = EmailField(autocomplete="username")


class AddEmailForm(account.AddEmailForm):
    email = EmailField(label="New email")


class NumericCodeMixin:
    """Emailed codes, recovery codes and those of authenticator apps are digits: phones show the keys for them."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs |= {"inputmode": "numeric", "autocomplete": "one-time-code"}


class EmailedCodeForm(NumericCodeMixin, account.ConfirmLoginCodeForm):
    pass


class VerificationCodeForm(NumericCodeMixin, account.ConfirmEmailVerificationCodeForm):
    pass


class SecondFactorForm(NumericCodeMixin, mfa.AuthenticateForm):
    pass


class ReauthenticationForm(NumericCodeMixin, mfa.ReauthenticateForm):
    pass


class ActivateAppForm(NumericCodeMixin, totp.ActivateTOTPForm):
    pass


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
    name = TrimmedField(
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
