from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from cryptography.fernet import InvalidToken
from django.core.management import call_command
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from sidekick.accounts.models import User
from tests.conftest import PASSWORD
from tests.post import delivered
from tests.sidekick.accounts.api.test_views import post, totp_code
from tests.sidekick.accounts.test_sign_in import log_in, signed_in_as

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")

SignIn = Callable[[Client, User], None]
PassTime = Callable[..., datetime]
OLD_KEY, NEW_KEY = "the-key-before-" * 4, "the-key-of-today-" * 4


def reauthenticate(client: Client) -> None:
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def test_secrets_lie_encrypted_in_the_database(alice: User) -> None:  # A1
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    codes = RecoveryCodes.activate(alice).get_unused_codes()
    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert "gAAAA" in stored
    assert all(code not in stored for code in codes)


def test_an_app_is_set_up_with_a_code_and_asked_for_from_then_on(
    client: Client,
    alice: User,
    sign_in: SignIn,
    pass_time: PassTime,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:  # A1
    sign_in(client, alice)
    reauthenticate(client)
    page = client.get("/accounts/2fa/totp/activate/")
    secret = page.context["form"].secret
    html = page.content.decode()
    assert f'<code class="secret">{secret}</code>' in html
    assert 'src="data:image/svg+xml;base64,' in html
    refused = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})
    assert "Incorrect code" in refused.content.decode()
    assert not Authenticator.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post("/accounts/2fa/totp/activate/", {"code": totp_code(secret)})
    assert done["Location"] == "/accounts/2fa/recovery-codes/"
    shown = client.get(done["Location"]).content.decode()
    code = Authenticator.objects.get(type="recovery_codes").wrap().get_unused_codes()[0]
    assert code in shown
    assert delivered()[-1].to == [alice.email]
    other = Client()
    log_in(other, alice.email)
    pass_time(seconds=60)
    assert other.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)}).status_code == 302
    assert signed_in_as(other) == alice.email


def test_a_recovery_code_opens_once(client: Client, alice: User) -> None:  # A1
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    code = RecoveryCodes.activate(alice).get_unused_codes()[0]
    log_in(client, alice.email)
    client.post("/accounts/2fa/authenticate/", {"code": code})
    assert signed_in_as(client) == alice.email
    again = Client()
    log_in(again, alice.email)
    assert "Incorrect code" in again.post("/accounts/2fa/authenticate/", {"code": code}).content.decode()
    assert signed_in_as(again) == "AnonymousUser"


def test_codes_by_email_ask_for_the_second_factor_too(client: Client, alice: User) -> None:  # A1
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    client.post("/accounts/login/code/", {"email": alice.email})
    code = re.search(r"[A-Z0-9]{4}-[A-Z0-9]{4}", str(delivered()[-1].body))
    assert code
    answer = client.post("/accounts/login/code/confirm/", {"code": code[0]})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert signed_in_as(client) == "AnonymousUser"


@time_machine.travel("2026-05-10T12:00:00Z", tick=False)
def test_a_former_key_still_opens_what_it_closed(client: Client, alice: User, settings: Settings) -> None:  # A1 A8
    settings.SECRET_KEY = OLD_KEY
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [OLD_KEY]
    credentials = {"email": alice.email, "password": PASSWORD, "code": totp_code(secret)}
    assert post(client, "token", credentials).status_code == 200


def test_nobody_gets_in_where_no_key_fits(alice: User, settings: Settings) -> None:  # A1
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    settings.SECRET_KEY = NEW_KEY
    with pytest.raises(InvalidToken):
        Authenticator.objects.get().wrap().validate_code("000000")


def test_encrypting_anew_lets_the_former_key_be_forgotten(
    alice: User, charlie: User, settings: Settings, pass_time: PassTime
) -> None:  # A1
    settings.SECRET_KEY = OLD_KEY
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    codes = RecoveryCodes.activate(alice)
    spent, unspent = codes.get_unused_codes()[:2]
    assert codes.validate_code(spent)
    # As a version before encryption left it.
    Authenticator.objects.create(user=charlie, type="totp", data={"secret": secret})
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [OLD_KEY]
    call_command("encrypt_second_factors")
    settings.SECRET_KEY_FALLBACKS = []
    for totp in Authenticator.objects.filter(type="totp"):
        assert totp.data["secret"] != secret
        assert totp.wrap().validate_code(totp_code(secret))
    codes = Authenticator.objects.get(type="recovery_codes").wrap()
    assert not codes.validate_code(spent)
    assert codes.validate_code(unspent)


def test_a_passkey_of_another_account_is_not_there(
    client: Client, alice: User, charlie: User, sign_in: SignIn
) -> None:  # A1
    theirs = Authenticator.objects.create(user=charlie, type="webauthn", data={"name": "Hers", "credential": {}})
    sign_in(client, alice)
    reauthenticate(client)
    for action in ("edit", "remove"):
        assert client.get(f"/accounts/2fa/webauthn/keys/{theirs.pk}/{action}/").status_code == 404
        assert client.post(f"/accounts/2fa/webauthn/keys/{theirs.pk}/{action}/", {"name": "Mine"}).status_code == 404
    assert Authenticator.objects.get().data["name"] == "Hers"


@pytest.mark.parametrize("path", ["/accounts/2fa/", "/accounts/2fa/webauthn/", "/accounts/social/"])
def test_overviews_are_the_account_page(client: Client, alice: User, sign_in: SignIn, path: str) -> None:  # A1
    sign_in(client, alice)
    assert client.get(path)["Location"] == "/dashboard/account/security"
