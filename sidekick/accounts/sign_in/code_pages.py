"""The pages where an emailed code is entered: allauth's views, with a code that outlives its expiry (`codes`)."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account import views
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.views.decorators.cache import never_cache

from sidekick.accounts import allauth_internals
from sidekick.accounts.allauth_internals import AbstractCodeVerificationProcess
from sidekick.accounts.models import User
from sidekick.accounts.sign_in import email_and_next, unverified_sign_up
from sidekick.accounts.sign_in.codes import PendingCode
from sidekick.accounts.sign_in.forms import EmailedCodeForm
from sidekick.web import rate_limits

GONE = "That code has expired. Ask for a new one."


class CodePage:
    """Before one of allauth's views of codes: sends a new code, leads back to a wrong address, says what is over."""

    template_name: str
    # The form in which the address was typed.
    earlier: ClassVar[str]
    request: HttpRequest
    code: PendingCode

    def find(self, request: HttpRequest) -> AbstractCodeVerificationProcess | None:
        raise NotImplementedError

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.request = request
        process = self.find(request)
        if process is None:
            return self.nothing_pending()
        self.code = PendingCode(request, process)
        if request.method == "POST" and request.POST.get("action") == "resend":
            return redirect(self.here()) if self.code.send_again() else self.show(refused=True)
        if request.method == "POST" and request.POST.get("action") == "correct":
            return self.correct()
        if self.code.is_over:
            return self.show()
        if request.method == "POST" and not self.code.may_try():
            return rate_limits.refuse(request)
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc, no-any-return]

    def here(self) -> str:
        return email_and_next.with_next(self.request.path, email_and_next.next_of(self.request))

    def nothing_pending(self) -> HttpResponse:
        """The session is over, or another tab has used the code."""
        wanted = email_and_next.next_of(self.request)
        if self.request.user.is_authenticated and wanted:
            return redirect(wanted)
        if self.request.method == "POST":
            messages.warning(self.request, GONE)
        return redirect(email_and_next.with_next(reverse(self.earlier), wanted))

    def correct(self) -> HttpResponse:
        """Back to the form where the address was typed, with the address in it."""
        back = email_and_next.with_next(reverse(self.earlier), email_and_next.next_of(self.request))
        email_and_next.carry_email(self.request, self.code.email)
        allauth_internals.forget_pending(self.request)
        return redirect(back)

    def show(self, *, refused: bool = False) -> HttpResponse:
        """The page of a code that is over, or of one that was asked for too early."""
        context = self.code_context() | {"refused": refused}
        if not self.code.is_over:
            context["verify_form"] = EmailedCodeForm(code="")
        return render(self.request, self.template_name, context)

    def code_context(self) -> dict[str, Any]:
        wanted = email_and_next.next_of(self.request)
        field = format_html('<input type="hidden" name="next" value="{}">', wanted) if wanted else ""
        return {"code": self.code, "email": self.code.email, "redirect_field": field, "earlier": self.earlier}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return context | self.code_context()

    def form_invalid(self, form: forms.Form) -> HttpResponse:
        self.code.count_wrong(form)
        if self.code.is_over:
            return self.show()
        return self.render_to_response(self.get_context_data(form=form))  # type: ignore[attr-defined, no-any-return]


class ConfirmLoginCode(CodePage, views.ConfirmLoginCodeView):
    earlier = "account_request_login_code"

    def find(self, request: HttpRequest) -> AbstractCodeVerificationProcess | None:
        return None if request.user.is_authenticated else allauth_internals.sign_in_code(request)


class ConfirmPasswordResetCode(CodePage, views.ConfirmPasswordResetCodeView):
    earlier = "account_reset_password"

    def find(self, request: HttpRequest) -> AbstractCodeVerificationProcess | None:
        return allauth_internals.reset_code(request)


class CompletePasswordReset(views.CompletePasswordResetView):
    def dispatch(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        process = allauth_internals.reset_code(request)
        if process and not process.is_valid():
            messages.warning(request, "That took more than 10 minutes. Ask for a new code.")
        response: HttpResponseBase = super().dispatch(request, **kwargs)
        return response


class ConfirmEmail(CodePage, views.ConfirmEmailVerificationCodeView):
    """The code of a sign-up, of a sign-in with an address that is not verified yet, or of a changed email."""

    def find(self, request: HttpRequest) -> AbstractCodeVerificationProcess | None:
        process = allauth_internals.verification_code(request)
        if request.user.is_authenticated:
            return process
        login = allauth_internals.pending_sign_in(request)
        # allauth's rule: without a pending sign-up only a code for an address that has an account already (A9).
        return process if login or (process and "user_id" not in process.state) else None

    @property
    def earlier(self) -> str:  # type: ignore[override]
        if self.request.user.is_authenticated:
            return "account_email"
        login = allauth_internals.pending_sign_in(self.request)
        return "account_login" if login is None or not login.signup else "account_signup"

    def correct(self) -> HttpResponse:
        account, earlier = self.code.process.user, self.earlier
        response = super().correct()
        if earlier == "account_signup" and isinstance(account, User):
            unverified_sign_up.remember_begun(self.request, account)
        return response
