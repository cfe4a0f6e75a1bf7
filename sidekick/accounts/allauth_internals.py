"""The functions that the project needs of allauth's internal modules, which may change in any release.

pyproject.toml bounds allauth to one minor series; check these functions when that bound moves.
"""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows import login, reauthentication
from allauth.account.internal.flows import logout as logout_flow
from allauth.account.internal.flows.code_verification import AbstractCodeVerificationProcess
from allauth.account.internal.stagekit import get_pending_stage
from allauth.account.stages import EmailVerificationStage
from allauth.socialaccount.internal.flows import connect
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from sidekick.accounts.models import User

__all__ = ["AbstractCodeVerificationProcess"]


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


def disconnect(request: HttpRequest, account: SocialAccount) -> None:
    """Delete the connection to Google or GitHub, and email the account about it."""
    connect.disconnect(request, account)
