"""The forms that begin with an email: allauth's views, with the email that was typed on another of them."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account import views
from django import forms
from django.http import HttpRequest, HttpResponse

from sidekick.accounts.sign_in import email_and_next


class CarriesEmail:
    """Fills in the email typed before, and carries the one typed now."""

    email_field: ClassVar[str] = "email"
    request: HttpRequest

    def get_initial(self) -> dict[str, Any]:
        return {self.email_field: email_and_next.typed_email(self.request), **super().get_initial()}  # type: ignore[misc]

    def form_valid(self, form: forms.Form) -> HttpResponse:
        email_and_next.carry_email(self.request, form.cleaned_data[self.email_field])
        return super().form_valid(form)  # type: ignore[misc, no-any-return]

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        if email := form.cleaned_data.get(self.email_field):
            email_and_next.carry_email(self.request, email)
        return super().form_invalid(form)  # type: ignore[misc, no-any-return]


class Login(CarriesEmail, views.LoginView):
    email_field = "login"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        request: Any = self.request
        return {**super().get_context_data(**kwargs), "session_ended": request.identity.has_ended}


class Signup(CarriesEmail, views.SignupView):
    pass


class RequestLoginCode(CarriesEmail, views.RequestLoginCodeView):
    pass


class PasswordReset(CarriesEmail, views.PasswordResetView):
    def get_initial(self) -> dict[str, Any]:
        own = {"email": self.request.user.email} if self.request.user.is_authenticated else {}
        return {**super().get_initial(), **own}


class Email(CarriesEmail, views.EmailView):
    def get_initial(self) -> dict[str, Any]:
        initial = super().get_initial()
        return {} if initial["email"] == self.request.user.email else initial  # type: ignore[union-attr]
