"""Paddle's own checkout over our pay page, under the policy of production.

`PADDLE_JS` stands where Paddle's script would: it keeps what it is told, and opens a frame from Paddle's address, whose
buttons report as Paddle's do.
"""

from __future__ import annotations

import copy
import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, Route, expect
from pytest_django import Settings

from billing.models import Customer, PlanPrice, Purchase
from sidekick.accounts.models import User
from tests.billing.store import price
from tests.browser.conftest import TUESDAY, NewPage, Shop, Theme
from tests.conftest import make_user

TOKEN = "live_0123456789abcdef"
SCRIPT = "https://cdn.paddle.com/paddle/v2/paddle.js"
BILLING = re.compile(r"/dashboard/billing$")
PURCHASE = re.compile(r"/dashboard/billing/purchases/[0-9a-f-]{36}$")
PADDLE_JS = """
window.told = [];
let hear, frame;
const style = document.createElement("link");
style.rel = "stylesheet";
style.href = "https://cdn.paddle.com/paddle/v2/assets/css/paddle.css";
document.head.append(style);
const open = () => {
  frame = document.createElement("iframe");
  frame.name = "paddle_frame";
  frame.src = "https://buy.paddle.com/checkout";
  document.body.append(frame);
};
window.Paddle = {
  Environment: { set: (name) => told.push(["environment", name]) },
  Initialize({ token, eventCallback }) {
    told.push(["initialize", token]);
    hear = eventCallback;
    if (new URLSearchParams(location.search).has("_ptxn")) open();
  },
  Checkout: { open: (given) => { told.push(["open", given]); open(); } },
};
addEventListener("message", ({ origin, data }) => {
  if (origin !== "https://buy.paddle.com") return;
  if (data === "checkout.closed") frame.remove();
  hear({ name: data, data: {} });
});
"""
FRAME = """
<button onclick="parent.postMessage('checkout.closed', '*')">Close</button>
<button onclick="for (const name of ['checkout.completed', 'checkout.closed']) parent.postMessage(name, '*')">
Pay</button>
"""


@pytest.fixture
def olga(shop: Shop) -> User:
    user = make_user("olga@example.com", date_joined=TUESDAY - timedelta(days=3))
    shop.subscribe(user, "pro")
    return user


@pytest.fixture
def _paddles_own(settings: Settings, olga: User) -> None:
    """As in production: the checkout is Paddle's, under the policy of production."""
    settings.PADDLE_SIMULATED, settings.PADDLE_ENVIRONMENT, settings.PADDLE_CLIENT_TOKEN = False, "live", TOKEN
    policy = copy.deepcopy(settings.CONTENT_SECURITY_POLICY)
    policy["DIRECTIVES"]["form-action"] = ["'self'", "https://*.paddle.com"]
    settings.CONTENT_SECURITY_POLICY = policy


def at_checkout(page: Page, quantity: int = 20) -> FrameLocator:
    """Buy credits until the checkout is open."""
    serve_paddle(page)
    page.goto("/dashboard/billing")
    page.get_by_label("Credits", exact=True).fill(str(quantity))
    page.get_by_role("button", name="Purchase Credits").click()
    expect(page).to_have_url(PURCHASE)
    expect(page.locator("iframe")).to_have_count(1)
    return page.frame_locator("iframe[name=paddle_frame]")


def serve_paddle(page: Page) -> None:
    kinds = {"js": (PADDLE_JS, "text/javascript"), "css": ("", "text/css"), "checkout": (FRAME, "text/html")}

    def answer(route: Route) -> None:
        body, kind = kinds[re.split(r"[./]", route.request.url)[-1]]
        route.fulfill(body=body, content_type=kind)

    page.route(re.compile(r"^https://(cdn|buy)\.paddle\.com/"), answer)


def told(page: Page) -> list[list[Any]]:
    found: list[list[Any]] = page.evaluate("window.told")
    return found


def times_opened(page: Page) -> int:
    return [what for what, _ in told(page)].count("open")


@pytest.mark.usefixtures("_paddles_own")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_checkout_opens_by_itself_with_what_is_bought(
    new_page: NewPage, shop: Shop, olga: User, theme: Theme
) -> None:  # B4 B10
    page = new_page(olga, theme=theme)
    at_checkout(page)
    bought = Purchase.objects.latest("created_at")
    look = {"displayMode": "overlay", "theme": theme, "allowLogout": False}
    assert told(page) == [
        ["initialize", TOKEN],
        ["open", {"transactionId": bought.transaction_id, "settings": look}],
    ]
    (transaction,) = [row for row in shop.transactions() if row["id"] == bought.transaction_id]
    sold = [(item["price"]["id"], item["quantity"]) for item in transaction["items"]]
    assert sold == [(price("pro", PlanPrice.Interval.CREDIT).paddle_price_id, 20)]
    assert transaction["customer_id"] == Customer.objects.get(account=olga).id
    assert (transaction["custom_data"] or {})["account_id"] == str(olga.id)


@pytest.mark.usefixtures("_paddles_own")
def test_a_theme_that_was_chosen_is_the_checkouts_too(new_page: NewPage, olga: User) -> None:  # N5
    page = new_page(olga, theme="light")
    page.goto("/dashboard/billing")
    page.get_by_role("button", name="Switch to dark theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    at_checkout(page)
    assert told(page)[-1][1]["settings"]["theme"] == "dark"


@pytest.mark.usefixtures("_paddles_own")
def test_a_double_click_opens_it_once(new_page: NewPage, olga: User) -> None:  # B4
    page = new_page(olga)
    at_checkout(page)
    assert times_opened(page) == 1
    page.get_by_role("button", name="Continue to payment").dblclick()
    assert times_opened(page) == 2
    page.get_by_role("button", name="Continue to payment").press("Enter")
    assert times_opened(page) == 3


@pytest.mark.usefixtures("_paddles_own")
def test_a_checkout_that_is_closed_leaves_nothing_behind(new_page: NewPage, shop: Shop, olga: User) -> None:  # B4
    page = new_page(olga)
    at_checkout(page).get_by_role("button", name="Close").click()
    expect(page).to_have_url(BILLING)
    expect(page.get_by_text("The checkout is closed. Nothing was charged.")).to_be_visible()
    expect(page.get_by_role("button", name="Purchase Credits")).to_be_enabled()
    expect(page.locator("iframe, [href*='paddle.com'], [src*='paddle.com']")).to_have_count(0)
    assert page.evaluate("window.Paddle") is None
    page.reload()
    expect(page.get_by_text("The checkout is closed.")).to_have_count(0)


@pytest.mark.usefixtures("_paddles_own")
def test_a_checkout_that_is_paid_leads_to_the_page_that_waits(new_page: NewPage, shop: Shop, olga: User) -> None:  # B5
    """The frame reports that it was closed right after, which must be ignored."""
    page = new_page(olga)
    shop.fall_silent()
    at_checkout(page).get_by_role("button", name="Pay").click()
    expect(page.get_by_text("Payment received")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(0)
    shop.world.pay(Purchase.objects.latest("created_at").transaction_id, "good", email=olga.email)
    shop.speak()
    expect(page.get_by_text("20 credits added.")).to_be_visible()


@pytest.mark.usefixtures("_paddles_own")
def test_a_payment_link_of_paddles_is_opened_by_its_script_alone(
    new_page: NewPage, shop: Shop, olga: User
) -> None:  # B7
    shop.fail_renewal(olga.subscriptions.get().id)
    overdue = shop.transactions()[-1]["id"]
    page = new_page(olga)
    serve_paddle(page)
    page.goto(f"/dashboard/billing/pay?_ptxn={overdue}")
    expect(page.locator("iframe")).to_have_count(1)
    expect(page.get_by_role("button", name="Continue to payment")).to_be_enabled()
    assert told(page) == [["initialize", TOKEN]]


@pytest.mark.usefixtures("_paddles_own")
def test_without_paddles_script_it_is_said_what_helps(
    new_page: NewPage, olga: User, expected_faults: list[str]
) -> None:  # B4
    expected_faults.append(r"Failed to load resource: net::ERR_(FAILED|BLOCKED_BY_CLIENT).*paddle\.js")
    page = new_page(olga)
    at_checkout(page)
    page.route(SCRIPT, lambda route: route.abort("blockedbyclient"))
    page.reload()
    alert = page.get_by_role("alert").filter(has_text="The payment form couldn’t be loaded.")
    expect(alert).to_be_visible()
    expect(page.get_by_role("button", name="Continue to payment")).to_be_disabled()
    page.unroute(SCRIPT)
    page.reload()
    expect(page.locator("iframe")).to_have_count(1)
    expect(alert).to_be_hidden()
    page.route(SCRIPT, lambda route: route.abort("blockedbyclient"))
    page.reload()
    page.get_by_role("link", name="Back to Billing").click()
    expect(page).to_have_url(BILLING)


@pytest.mark.usefixtures("_paddles_own")
def test_what_is_not_paddles_may_not_come_in_with_its_checkout(
    new_page: NewPage, olga: User, expected_faults: list[str]
) -> None:  # N1
    expected_faults.append("https://elsewhere.example")
    page = new_page(olga)
    at_checkout(page)
    refused = page.evaluate(
        """() => new Promise((done) => {
            addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            const frame = document.createElement("iframe");
            frame.src = "https://elsewhere.example/";
            document.body.append(frame);
        })"""
    )
    assert refused == "frame-src"
