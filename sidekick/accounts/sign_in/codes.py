"""An emailed code that is being waited for: its tries, its end, and when another one may be sent.

The same for every code: of a sign-in, a sign-up, a new password, a new address, a reauthentication. allauth's own
processes forget a code that expired, and what it was for.
"""

from __future__ import annotations

import math
import time

from django import forms
from django.http import HttpRequest

from sidekick.accounts import allauth_internals
from sidekick.accounts.allauth_internals import AbstractCodeVerificationProcess, EmailVerificationProcess
from sidekick.web import rate_limits

AGAIN_AFTER = 30  # seconds from one code to the next


class PendingCode:
    """A code as its page shows it. An address without an account has one, too, which no code fits (A9)."""

    def __init__(self, request: HttpRequest, process: AbstractCodeVerificationProcess) -> None:
        self.request, self.process = request, process
        self.too_many = False

    @property
    def email(self) -> str:
        return str(self.process.state["email"])

    @property
    def tries_left(self) -> int:
        return max(0, int(self.process.max_attempts) - int(self.process.state["failed_attempts"]))

    @property
    def is_expired(self) -> bool:
        return not self.process.is_valid()

    @property
    def is_over(self) -> bool:
        return self.is_expired or not self.tries_left

    @property
    def was_sent_again(self) -> bool:
        return bool(self.process.state["resend_count"])

    @property
    def minutes(self) -> int:
        return int(self.process.timeout) // 60

    @property
    def seconds_to_wait(self) -> int:
        """Returns the seconds until another code may be sent; 0 when it may be sent now."""
        return max(0, math.ceil(float(self.process.state["at"]) + AGAIN_AFTER - time.time()))

    def may_try(self) -> bool:
        return rate_limits.allow(self.request, "enter_code", key=self.request.session.session_key)

    def count_wrong(self, form: forms.Form) -> None:
        """A wrong code costs a try; an empty field, and an address that is taken by now, do not.

        The last try leaves the page and its address, but no code that works.
        """
        if not form.has_error("code", "incorrect_code"):
            return
        self.process.state["failed_attempts"] += 1
        if not self.tries_left:
            self.process.state["code"] = ""
        self.process.persist()
        tries = f"{self.tries_left} {'try' if self.tries_left == 1 else 'tries'}"
        form.errors["code"] = form.error_class([f"This is not the code in our newest email. {tries} left."])

    def send_again(self) -> bool:
        """Send a new code in the place of the earlier one, with tries and minutes of its own.

        Returns False where the last one went out a moment ago, or several did (`too_many`).
        """
        if self.seconds_to_wait:
            return False
        if not rate_limits.allow(self.request, "resend_code", key=self.email):
            self.too_many = True
            return False
        process, state = self.process, self.process.state
        state["code"] = ""
        state.update(at=time.time(), failed_attempts=0)
        if isinstance(process, EmailVerificationProcess):
            process.generate_code()
        # An address without an account gets an email as well, or the time it takes would tell (A9).
        process.send()
        process.record_resend()
        process.persist()
        self._renew_sign_in()
        return True

    def _renew_sign_in(self) -> None:
        login = None if self.request.user.is_authenticated else allauth_internals.pending_sign_in(self.request)
        if login:
            login.initiated_at = time.time()
            allauth_internals.keep_sign_in(self.request, login)
