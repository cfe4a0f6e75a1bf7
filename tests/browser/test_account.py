"""The account page and the further means of signing in, in a real browser (A1, A7, A10)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect
from pytest_django import Settings

from sidekick.accounts import device_sessions, tokens
from sidekick.accounts.models import DeviceSession, User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage, Shop, emailed_code
from tests.browser.test_looks import look
from tests.conftest import PASSWORD, make_user
from tests.sidekick.accounts import providers
from tests.sidekick.accounts.api.test_views import totp_code
from tests.sidekick.accounts.providers import Provider

ACCOUNT = "/dashboard/account"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def petra(clock: time_machine.Traveller, live_server: object) -> User:
    return customers.ordinary(TUESDAY)


@pytest.fixture
def provider(settings: Settings, monkeypatch: pytest.MonkeyPatch, live_server: object) -> Iterator[Provider]:
    with providers.opened(settings, monkeypatch) as opened:
        settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(opened.url)
        opened.person = {"sub": "g-1", "email": "greta@example.com", "email_verified": True, "given_name": "Greta"}
        yield opened
        settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].remove(opened.url)


def virtual_authenticator(page: Page, *, knows_its_owner: bool = True, suggests: bool = False) -> None:
    """A device of the browser's own that keeps passkeys and says yes: at once, where it `suggests` them."""
    if not suggests:
        page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = undefined;")
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": knows_its_owner,
        "automaticPresenceSimulation": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def reauthenticate(page: Page) -> None:
    """Reauthenticate with the password, on the page that asks for it."""
    expect(page.get_by_role("heading", name="Confirm it’s you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def log_out(page: Page) -> None:
    page.locator("summary.avatar").click()
    page.get_by_role("button", name="Logout").click()
    # The homepage: other addresses end in a slash, too.
    expect(page).to_have_url(re.compile(r"//[^/]+/$"))


def sign_in(page: Page, user: User) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_is_added_and_signs_in_by_itself(new_page: NewPage, petra: User) -> None:  # A1
    page = new_page(petra)
    virtual_authenticator(page)
    page.goto(ACCOUNT)
    page.get_by_role("link", name="Security").click()
    page.get_by_role("link", name="Add passkey").click()
    reauthenticate(page)
    page.get_by_label("Name").fill("Petra’s laptop")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    expect(page.locator(".codes li")).to_have_count(10)
    page.get_by_role("link", name="Security").click()
    expect(page.get_by_role("heading", name="Petra’s laptop")).to_be_visible()
    log_out(page)
    page.goto("/accounts/login/?next=/dashboard/billing")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Billing", level=1)).to_be_visible()
    assert petra.device_sessions.live().count() == 1


def test_a_passkey_is_the_second_step_after_a_password(new_page: NewPage, petra: User) -> None:  # A1
    page = with_passkey(new_page, petra)
    sign_in(page, petra)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()


def test_a_passkey_confirms_that_it_is_you(new_page: NewPage, petra: User) -> None:  # A1
    page = with_passkey(new_page, petra)
    sign_in(page, petra)
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()
    page.goto(f"{ACCOUNT}/delete")
    page.get_by_role("link", name="Use a passkey").click()
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("heading", name="Delete your account?")).to_be_visible()


def test_a_passkey_is_renamed_and_removed(new_page: NewPage, petra: User) -> None:  # A1
    page = with_passkey(new_page, petra, log_out_after=False)
    page.goto(f"{ACCOUNT}/security")
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Name").fill("Old phone")
    page.get_by_role("button", name="Save name").click()
    expect(page.get_by_role("heading", name="Old phone")).to_be_visible()
    page.get_by_role("link", name="Remove Old phone").click()
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_role("heading", name="Old phone")).to_have_count(0)
    assert not Authenticator.objects.exists(), "recovery codes of nothing go, too"


def with_passkey(new_page: NewPage, user: User, *, log_out_after: bool = True, suggests: bool = False) -> Page:
    page = new_page(user)
    virtual_authenticator(page, suggests=suggests)
    page.goto("/accounts/2fa/webauthn/add/")
    reauthenticate(page)
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    if log_out_after:
        log_out(page)
    return page


def test_a_device_without_a_passkey_says_so_and_leaves_the_other_ways(new_page: NewPage, petra: User) -> None:  # A1
    page = new_page()
    virtual_authenticator(page, knows_its_owner=False)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("[data-passkey-failed]")).to_be_visible()
    expect(page.get_by_label("Password")).to_be_visible()


def test_an_app_is_set_up_and_asked_for_and_a_recovery_code_helps_out(
    new_page: NewPage, petra: User, clock: time_machine.Traveller
) -> None:  # A1
    page = new_page(petra)
    page.goto(f"{ACCOUNT}/security")
    page.get_by_role("link", name="Set up").click()
    reauthenticate(page)
    assert page.locator("img.qr").evaluate("image => image.naturalWidth") > 100
    secret = page.locator("code.secret").inner_text()
    page.get_by_label("Authenticator code").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("alert")).to_contain_text("Incorrect code")
    assert page.locator("code.secret").inner_text() == secret
    page.get_by_label("Authenticator code").fill(totp_code(secret))
    page.get_by_role("button", name="Turn on").click()
    recovery = page.locator(".codes li").first.inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert recovery in Path(download.value.path()).read_text()
    log_out(page)
    clock.shift(60)
    sign_in(page, petra)
    page.get_by_label("Code").fill(totp_code(secret))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()
    log_out(page)
    sign_in(page, petra)
    page.get_by_label("Code").fill(recovery)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()
    page.goto(f"{ACCOUNT}/security")
    expect(page.get_by_text("9 of 10 left")).to_be_visible()


def test_an_app_is_set_up_without_scripts_and_passkeys_say_what_they_need(
    new_page: NewPage, petra: User
) -> None:  # A1 N4
    page = new_page(petra, java_script_enabled=False)
    page.goto("/accounts/2fa/webauthn/add/")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.get_by_text("Passkeys need JavaScript.")).to_be_visible()
    page.goto("/accounts/2fa/totp/activate/")
    page.locator("[name=code]").fill(totp_code(page.locator("code.secret").inner_text()))
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator(".codes li")).to_have_count(10)


def test_a_session_is_ended_from_another_browser(new_page: NewPage, petra: User) -> None:  # A7
    phone = new_page(petra, user_agent=FIREFOX)
    phone.goto("/dashboard/billing")
    DeviceSession.objects.update(user_agent=FIREFOX)
    page = new_page(petra)
    page.goto(ACCOUNT)
    page.get_by_role("link", name="Sessions").click()
    row = page.locator(".setting-list > li", has_text="Firefox on Windows")
    expect(page.locator(".setting-list > li").first).to_contain_text("This device")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    phone.get_by_role("navigation", name="Sections").get_by_role("link", name="Credits").click()
    expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_browsers_time_zone_is_one_click_away(new_page: NewPage, petra: User) -> None:  # A10
    User.objects.update(time_zone="UTC", name="")
    page = new_page(petra)
    page.goto(ACCOUNT)
    page.get_by_role("button", name="Use this browser’s").click()
    expect(page.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    expect(page.get_by_role("button", name="Use this browser’s")).to_be_hidden()
    page.get_by_label("Name").fill("Petra P.")
    page.get_by_label("Email me when").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Your profile is saved.")
    petra.refresh_from_db()
    assert (petra.time_zone, petra.name, petra.balance_emails) == ("Europe/Berlin", "Petra P.", False)


def test_the_email_is_changed_by_a_code(new_page: NewPage, petra: User) -> None:  # A10
    page = new_page(petra)
    page.goto(ACCOUNT)
    page.get_by_role("link", name="Change email").click()
    reauthenticate(page)
    page.get_by_label("Email").fill("petra@example.org")
    page.get_by_role("button", name="Send a code").click()
    page.get_by_label("Code").fill(emailed_code("petra@example.org"))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status", name="Messages")).to_contain_text("petra@example.org")
    page.goto(ACCOUNT)
    expect(page.locator(".page-header")).to_contain_text("petra@example.org")


def test_ones_data_is_downloaded_after_reauthentication(new_page: NewPage, petra: User) -> None:  # A10
    page = new_page(petra)
    page.goto(f"{ACCOUNT}/data")
    page.get_by_role("link", name="Confirm it’s you to download").click()
    reauthenticate(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    data = json.loads(Path(download.value.path()).read_text())
    assert data["account"][0]["email"] == petra.email
    assert len(data["requests"]) == 480


@pytest.mark.parametrize("scripts", [True, False])
def test_an_account_is_deleted(new_page: NewPage, shop: Shop, scripts: bool, expected_faults: list[str]) -> None:  # A10
    expected_faults += ["status of 422"]
    user, _ = customers.with_a_history(shop)
    page = new_page(user, java_script_enabled=scripts)
    page.goto(f"{ACCOUNT}/data")
    page.get_by_role("link", name="Delete account").click()
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text(re.compile(r"You lose [\d,.]+ credits"))).to_be_visible()
    page.get_by_label("Your email").fill("somebody@example.com")
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the email of your account.")
    page.get_by_label("Your email").fill(user.email)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("heading", name="Your account is deleted")).to_be_visible()
    assert page.context.cookies(page.url) == [] or not {tokens.ACCESS_COOKIE, tokens.REFRESH_COOKIE} & {
        cookie["name"] for cookie in page.context.cookies(page.url)
    }
    page.goto("/dashboard/credits")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not user.subscriptions.live().exists()


def test_google_signs_up_and_in_under_our_policy(new_page: NewPage, provider: Provider) -> None:  # A1 N8
    page = new_page()
    page.goto("/accounts/login/?next=/dashboard/billing")
    page.get_by_role("button", name="Continue with Google").click()
    expect(page.get_by_role("heading", name="Billing", level=1)).to_be_visible()
    user = User.objects.get()
    assert (user.email, user.time_zone) == ("greta@example.com", "Europe/Berlin")
    page.goto(f"{ACCOUNT}/security")
    today = f"{SocialAccount.objects.get().date_joined.astimezone(user.zone):%-d %b %Y}"
    expect(page.get_by_text(f"Connected {today}")).to_be_visible()
    page.get_by_role("button", name="Disconnect Google").click()
    page.get_by_role("button", name="Email me a code").click()
    page.get_by_label("Code").fill(emailed_code("greta@example.com"))
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("button", name="Disconnect Google").click()
    expect(page.get_by_role("button", name="Connect Google")).to_be_visible()
    assert not SocialAccount.objects.exists()


def account_with_everything() -> User:
    user = make_user("petra.with-a-rather-long-address@subdomain.example.com", name="Petra")
    name = "The passkey on the laptop that I only use on Sundays in the garden"
    for words in ("Phone", name[:60]):
        Authenticator.objects.create(user=user, type="webauthn", data={"name": words, "credential": {}})
    auth.TOTP.activate(user, auth.generate_totp_secret())
    RecoveryCodes.activate(user)
    SocialAccount.objects.create(user=user, provider="google", uid="g-1")
    for agent in (FIREFOX, "", "Sidekick/3.2.1 (Macintosh)"):
        device_sessions.start(user, ip="2001:db8:85a3:8d3:1319:8a2e:370:7348", user_agent=agent)
    return user


def test_pages_of_the_account(
    new_page: NewPage,
    clock: time_machine.Traveller,
    provider: Provider,
    expected_faults: list[str],
    screenshot: Callable[[Page, str], None],
) -> None:  # N8 A1 A10
    expected_faults += ["status of 422"]
    page = new_page(account_with_everything())
    found = []
    paths = {"profile": "", "security": "/security", "sessions": "/sessions", "data": "/data"}
    for name, path in paths.items():
        found += look(page, ACCOUNT + path, f"account {name}", screenshot)

    def refuse(page: Page) -> None:
        page.locator("#id_time_zone option").first.evaluate("option => option.value = 'Mars/Olympus'")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("alert")).to_be_visible()

    found += look(page, ACCOUNT, "account refused", screenshot, act=refuse)
    assert not found, "\n".join(found)


def test_pages_of_reauthentication_and_second_factors(
    new_page: NewPage, clock: time_machine.Traveller, live_server: object, screenshot: Callable[[Page, str], None]
) -> None:  # N8 A1 A10
    user = make_user("petra@example.com", name="Petra")
    page = new_page(user)
    found = look(page, f"{ACCOUNT}/delete", "proof", screenshot)
    page.goto(f"{ACCOUNT}/delete")
    reauthenticate(page)
    for name, path in {
        "delete": f"{ACCOUNT}/delete",
        "email": "/accounts/email/",
        "password": "/accounts/password/change/",
        "app": "/accounts/2fa/totp/activate/",
        "passkey": "/accounts/2fa/webauthn/add/",
        "farewell": "/farewell",
    }.items():
        found += look(page, path, name, screenshot)
    key = Authenticator.objects.create(user=user, type="webauthn", data={"name": "Phone", "credential": {}})
    Authenticator.objects.create(user=user, type="totp", data={"secret": ""})
    RecoveryCodes.activate(user)
    for name, path in {
        "rename": f"/accounts/2fa/webauthn/keys/{key.pk}/edit/",
        "remove": f"/accounts/2fa/webauthn/keys/{key.pk}/remove/",
        "codes": "/accounts/2fa/recovery-codes/",
        "new codes": "/accounts/2fa/recovery-codes/generate/",
        "app off": "/accounts/2fa/totp/deactivate/",
    }.items():
        found += look(page, path, name, screenshot)
    assert not found, "\n".join(found)


def test_pages_of_coming_in(
    new_page: NewPage,
    clock: time_machine.Traveller,
    provider: Provider,
    expected_faults: list[str],
    screenshot: Callable[[Page, str], None],
) -> None:  # N8 A1
    expected_faults += ["status of 401", "status of 409"]
    user = make_user("petra@example.com")
    Authenticator.objects.create(user=user, type="totp", data={"secret": ""})
    page = new_page()
    found: list[str] = []
    for name, path in {
        "sign-in": "/accounts/login/",
        "google": "/accounts/google/login/",
        "cancelled": "/accounts/social/login/cancelled/",
        "error": "/accounts/social/login/error/",
    }.items():
        found += look(page, path, f"coming in {name}", screenshot)
    sign_in(page, user)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    found += look(page, "/accounts/2fa/authenticate/", "second step", screenshot)
    provider.person["email"] = user.email

    def by_google(page: Page) -> None:
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="You have an account already")).to_be_visible()

    found += look(new_page(), "/accounts/google/login/", "taken", screenshot, act=by_google)
    assert not found, "\n".join(found)


def test_nothing_is_left_of_the_scratchpad(new_page: NewPage, petra: User) -> None:  # A2
    """Signing in with a passkey flushes the flow's session as any other way does."""
    page = with_passkey(new_page, petra)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()
    assert not any("account_authentication_methods" in session.get_decoded() for session in Session.objects.all())
