"""The functions that the project needs of allauth's internal modules, which may change in any release.

pyproject.toml bounds allauth to one minor series; check these functions when that bound moves.
"""

from __future__ import annotations

from typing import Any, TypeVar

from allauth.account.internal.flows import login, reauthentication
from allauth.account.internal.flows import logout as logout_flow
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from allauth.account.internal.flows.email_verification_by_code import (
    EMAIL_VERIFICATION_CODE_SESSION_KEY,
    EmailVerificationProcess,
)
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.internal.flows.password_reset_by_code import (
    PASSWORD_RESET_VERIFICATION_SESSION_KEY,
    PasswordResetVerificationProcess,
)
from allauth.account.internal.stagekit import clear_login, get_pending_stage, stash_login, unstash_login
from allauth.account.models import Login
from allauth.account.stages import EmailVerificationStage, LoginByCodeStage, LoginStageController
from allauth.socialaccount.internal.flows import connect
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from sidekick.accounts.models import User

__all__ = ["AbstractCodeVerificationProcess", "EmailVerificationProcess"]

Process = TypeVar("Process", bound=AbstractCodeVerificationProcess)


def logout(request: HttpRequest) -> None:
    """End the session of this browser, and forget what sign-in flows noted in it."""
    logout_flow.logout(request, show_message=False)


def authentication_records(request: HttpRequest) -> list[dict[str, Any]]:
    """How the signed-in account was authenticated here: `method`, `at` (seconds), perhaps `reauthenticated`."""
    records: list[dict[str, Any]] = login.get_authentication_records(request, request.user)
    return records


def record_reauthentication(request: HttpRequest, user: User, method: str) -> None:
    login.record_authentication(request, user, method, reauthenticated=True)


def can_reauthenticate(user: User | AnonymousUser) -> bool:
    """Whether the account has a password or a second factor that allauth can ask for."""
    return bool(reauthentication.get_reauthentication_flows(user))


def is_verifying_email(request: HttpRequest, user: User) -> bool:
    """Whether this browser has signed up as, or signed in to, `user` and waits for the address to be verified."""
    stage = get_pending_stage(request)
    return stage is not None and stage.key == EmailVerificationStage.key and stage.login.user == user


def sign_in_code(request: HttpRequest) -> AbstractCodeVerificationProcess | None:
    """The sign-in code that this browser asked for, expired or not."""
    stage = LoginStageController.enter(request, LoginByCodeStage.key)
    return _unless_given_up(request, LoginCodeVerificationProcess(stage=stage)) if stage and stage.state else None


def verification_code(request: HttpRequest) -> AbstractCodeVerificationProcess | None:
    """The code for a new address, of a sign-up or a change of email in this browser, expired or not."""
    state = request.session.get(EMAIL_VERIFICATION_CODE_SESSION_KEY)
    return _unless_given_up(request, EmailVerificationProcess(request, state)) if state else None


def reset_code(request: HttpRequest) -> AbstractCodeVerificationProcess | None:
    """The code for a new password that this browser asked for, expired or not."""
    state = request.session.get(PASSWORD_RESET_VERIFICATION_SESSION_KEY)
    return _unless_given_up(request, PasswordResetVerificationProcess(request, state)) if state else None


def _unless_given_up(request: HttpRequest, process: Process) -> Process | None:
    """Returns the process while its account has the address that the code went to; otherwise it is forgotten.

    allauth looks at the id alone: a code of an earlier address would open the account of its next owner.
    """
    user, state = process.user, process.state
    # A code for an address without an account names none, and that for a changed email comes before the change.
    if "user_id" not in state or (user and (user == request.user or user.email == state["email"])):
        return process
    process.abort()
    return None


def pending_sign_in(request: HttpRequest) -> Login | None:
    """The sign-in or sign-up that this browser has begun and that waits for a code or a second factor."""
    login: Login | None = unstash_login(request, peek=True)
    return login


def keep_sign_in(request: HttpRequest, login: Login) -> None:
    """Store a pending sign-in after a change."""
    stash_login(request, login)


def forget_pending(request: HttpRequest) -> None:
    """Drop what this browser has begun: a sign-in or sign-up, a reset, a new address."""
    if not request.user.is_authenticated:
        clear_login(request)
    for key in (EMAIL_VERIFICATION_CODE_SESSION_KEY, PASSWORD_RESET_VERIFICATION_SESSION_KEY):
        request.session.pop(key, None)


def disconnect(request: HttpRequest, account: SocialAccount) -> None:
    """Delete the connection to Google or GitHub, and email the account about it."""
    connect.disconnect(request, account)
