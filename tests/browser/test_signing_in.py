"""Signing in, in a real browser: passwords to be shown, an email typed once, codes, suggested passkeys."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from playwright.sync_api import Page, expect

from billing.models import Purchase
from sidekick.accounts.models import User
from tests.browser.conftest import NewPage, Shop, Theme, emailed_code
from tests.browser.firefox import Firefox
from tests.browser.test_account import virtual_authenticator, with_passkey
from tests.browser.test_looks import EVERYTHING, see, violations
from tests.conftest import PASSWORD, make_user

HIDDEN = "al\u200bice@exam\u00adple.com"
# A browser in which nobody takes the suggestion.
WATCH = """
PublicKeyCredential.isConditionalMediationAvailable = async () => true;
const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = (options) => {
  if (options.mediation !== "conditional") return get(options);
  document.documentElement.dataset.asked = "conditional";
  return new Promise((_, refuse) => options.signal.addEventListener("abort", () => refuse(new Error("aborted"))));
};
"""


@pytest.fixture
def alice(clock: time_machine.Traveller, live_server: object) -> User:
    return make_user("alice@example.com")


def faults(page: Page) -> list[str]:
    return [*see(page, "overflows"), *violations(page, page.url, EVERYTHING)]


def is_password(page: Page, label: str) -> bool:
    return page.get_by_label(label, exact=True).get_attribute("type") == "password"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_password_can_be_shown(new_page: NewPage, alice: User, theme: Theme) -> None:  # A1 N8
    page = new_page(theme=theme, width=360)
    page.goto("/accounts/login/")
    button = page.get_by_role("button", name="Show password")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Space")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert not is_password(page, "Password")
    expect(page.get_by_label("Password", exact=True)).to_have_value(PASSWORD)
    assert faults(page) == []
    button.click()
    assert is_password(page, "Password")
    button.click()
    page.get_by_label("Email").fill(HIDDEN)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/dashboard/credits"))


def test_every_password_has_a_button_of_its_own(new_page: NewPage, alice: User) -> None:  # A1 N8
    page = new_page(alice)
    page.goto("/accounts/password/change/")
    for label in ("Current password", "New password", "New password, again"):
        page.get_by_role("button", name=f"Show {label.lower()}", exact=True).click()
        assert page.locator("input[type=password]").count() == 2
        page.get_by_role("button", name=f"Show {label.lower()}", exact=True).click()


def test_the_email_typed_once_is_there_on_every_page(new_page: NewPage, alice: User) -> None:  # A1 A9
    page = new_page()
    seen: list[str] = []
    page.on("request", lambda request: seen.append(f"{request.url} {request.headers.get('referer', '')}"))
    email = page.get_by_label("Email")
    page.goto("/accounts/login/?next=/dashboard/billing")
    email.fill("alice@example.com")
    page.get_by_role("link", name="Create an account").click()
    expect(email).to_have_value("alice@example.com")
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Forgot your password?").click()
    expect(email).to_have_value("alice@example.com")
    page.get_by_role("link", name="Back to sign in").click()
    page.get_by_role("link", name="Email me a sign-in code").click()
    expect(email).to_have_value("alice@example.com")
    page.get_by_role("button", name="Email me a code").click()
    expect(page.locator("main")).to_contain_text("If alice@example.com can receive it")
    page.get_by_role("button", name="Use another address").click()
    expect(email).to_have_value("alice@example.com")
    expect(email).to_be_editable()
    page.get_by_role("link", name="Use a password instead").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile("/dashboard/billing$"))
    assert [line for line in seen if "alice" in line] == []
    page.wait_for_load_state("load")
    assert page.evaluate("sessionStorage.getItem('sidekick:email')") is None


def test_the_page_of_a_code_says_what_happens(
    new_page: NewPage, alice: User, clock: time_machine.Traveller
) -> None:  # A1 N8
    page = new_page(width=360)
    page.goto("/accounts/login/code/")
    page.get_by_label("Email").fill(alice.email)
    page.get_by_role("button", name="Email me a code").click()
    page.get_by_role("button", name="Send a new code").click()
    early = page.get_by_role("alert")
    expect(early).to_contain_text("You can ask for another in")
    expect(early).to_be_focused()
    assert faults(page) == []
    clock.shift(timedelta(seconds=31))
    page.get_by_role("button", name="Send a new code").click()
    expect(page.get_by_role("status").filter(has_text="We sent a new code")).to_be_visible()
    for left in ("2 tries left", "1 try left"):
        page.get_by_label("Code").fill("0000 0000")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".field-error")).to_contain_text(left)
    assert faults(page) == []
    clock.shift(timedelta(minutes=11))
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("This code has expired")
    assert faults(page) == []
    page.get_by_role("button", name="Send a new code").click()
    page.get_by_label("Code").fill(emailed_code(alice.email))
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile("/dashboard/credits"))


def test_a_visitor_without_scripts_buys_pro(new_page: NewPage, shop: Shop) -> None:  # B6 N4
    page = new_page(java_script_enabled=False)
    page.goto("/pricing")
    page.get_by_role("link", name="Sign up for Pro").click()
    expect(page.get_by_role("button", name="Show password")).to_have_count(0)
    page.get_by_label("Email").fill("new@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Use another address").click()
    expect(page.get_by_label("Email")).to_have_value("new@example.com")
    page.get_by_label("Email").fill("right@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Code").fill(emailed_code("right@example.com"))
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile(rf"{shop.url}/checkout/txn_"))
    assert Purchase.objects.get().account.email == "right@example.com"


def test_a_suggested_passkey_signs_in_without_a_button(new_page: NewPage, alice: User) -> None:  # A1 N1
    """This device takes the suggestion at once."""
    page = with_passkey(new_page, alice, suggests=True)
    page.goto("/accounts/login/?next=/dashboard/billing", wait_until="commit")
    expect(page).to_have_url(re.compile("/dashboard/billing$"))
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)


def test_a_passkey_is_asked_for_one_at_a_time(new_page: NewPage, alice: User) -> None:  # A1
    """The button ends the browser's waiting for a suggestion, and asks at once."""
    page = with_passkey(new_page, alice)
    page.add_init_script(WATCH)
    page.goto("/accounts/login/")
    expect(page.locator("#id_login")).to_have_attribute("autocomplete", "username webauthn")
    expect(page.locator("html")).to_have_attribute("data-asked", "conditional")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile("/dashboard/credits"))


def test_a_browser_that_suggests_no_passkeys_is_asked_for_none(new_page: NewPage, alice: User) -> None:  # A1
    page = new_page()
    virtual_authenticator(page)
    page.add_init_script(WATCH + "PublicKeyCredential.isConditionalMediationAvailable = undefined;")
    page.goto("/accounts/login/")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()
    assert page.locator("html").get_attribute("data-asked") is None


def test_firefox_signs_in_with_a_copied_address(firefox: Firefox, alice: User) -> None:  # A1
    firefox.open("/accounts/login/?next=/dashboard/billing")
    firefox.fill("#id_login", HIDDEN)
    firefox.fill("#id_password", PASSWORD)
    firefox.click("[data-show-password]")
    firefox.wait_until("document.getElementById('id_password').type === 'text'")
    firefox.click("button", "Sign in")
    firefox.wait_for_path("/dashboard/billing")
