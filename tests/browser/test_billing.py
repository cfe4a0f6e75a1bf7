"""Buying as customers do it: our pages, the simulated checkout, and webhooks that really come."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from playwright.sync_api import Page, Request, Route, expect

from billing import schedule
from billing.models import PlanPrice, Purchase
from billing.paddle import api
from sidekick.accounts.models import DeviceSession, User
from tests.browser.conftest import TUESDAY, NewPage, Shop, emailed_code
from tests.conftest import PASSWORD, make_user

SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
BILLING = re.compile(r"/dashboard/billing$")
CHECKOUT = re.compile(r"/checkout/txn_\w+\?return_to=")
PURCHASE = re.compile(r"/dashboard/billing/purchases/[0-9a-f-]{36}(\?|$)")
NO_QUANTITIES = ["99999", "1e2", "", "0", "301", "1.5", "1,000", "1.000", "+7", "-3", "５０", "0x10", "many"]
WRONG = "Choose a whole number from 7 to 300, in plain digits."
TOO_FEW = "Paddle doesn’t charge less than $0.70: choose 7 credits or more."


@pytest.fixture
def olga(shop: Shop) -> User:
    return make_user("olga@example.com", time_zone="Europe/Berlin", date_joined=TUESDAY - timedelta(days=3))


@pytest.fixture
def pro(shop: Shop, olga: User) -> str:
    """Paddle's id of Olga's subscription."""
    return shop.subscribe(olga, "pro")


def open_billing(page: Page) -> None:
    page.goto("/dashboard/billing", wait_until="load")
    expect(page.get_by_role("heading", name="Billing", level=1)).to_be_visible()


def pay(page: Page, card: str = "Card that works") -> None:
    """Pay in the checkout, which is Paddle's."""
    expect(page).to_have_url(CHECKOUT)
    page.get_by_label(card).check()
    page.get_by_role("button", name=re.compile("^(Pay|Save) ")).click()


def purchase(page: Page, quantity: int) -> None:
    page.get_by_label("Credits", exact=True).fill(str(quantity))
    page.get_by_role("button", name="Purchase Credits").click()


def plan_card(page: Page, name: str, status: str) -> None:
    card = page.locator(".plan-card")
    expect(card.locator(".plan-card-name")).to_have_text(name)
    expect(card.locator(".badge")).to_have_text(status)


def fact(page: Page, label: str, value: str) -> None:
    expect(page.locator(".plan-card .facts > div", has_text=label).locator("dd")).to_have_text(value)


def credits_are(page: Page, *, total: str, additional: str = "0.00") -> None:
    page.goto("/dashboard/credits")
    for name, value in (("Total Credits", total), ("Additional Credits", additional)):
        card = page.locator(".card", has=page.get_by_text(name, exact=True))
        expect(card.locator(".card-value")).to_have_text(value)


def payments(page: Page) -> list[str]:
    """Returns the purpose of each payment, newest first."""
    return page.locator("table.payments [data-label=For]").all_inner_texts()


# Becoming a customer


@SCRIPT
def test_a_visitor_becomes_a_pro_customer(new_page: NewPage, shop: Shop, script: bool) -> None:  # B5 B6 N4
    page = new_page(java_script_enabled=script)
    page.goto("/pricing")
    page.get_by_role("link", name="Sign up for Pro").click()
    page.get_by_label("Email").fill("maya@example.com")
    page.get_by_label("Password").fill("a-quiet-sunny-harbour-7")
    page.get_by_role("button", name="Create account").click()
    page.get_by_label("Code").fill(emailed_code("maya@example.com"))
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".totals .sum dd")).to_have_text("$46.80")
    shop.fall_silent()
    pay(page)
    expect(page).to_have_url(PURCHASE)
    expect(page.get_by_text("Payment received, setting up Sidekick Pro.")).to_be_visible()
    shop.speak()
    expect(page.get_by_text("You are on Pro.")).to_be_visible()
    page.get_by_role("link", name="See your credits").click()
    expect(page.locator(".card-value").nth(2)).to_have_text("1,000.00")
    open_billing(page)
    plan_card(page, "Pro", "Active")
    assert payments(page) == ["Pro, 24 Mar – 24 Apr 2026"]


def test_who_has_an_account_signs_in_and_comes_to_the_checkout(
    new_page: NewPage, shop: Shop, olga: User
) -> None:  # A3 B6
    page = new_page()
    page.goto("/pricing")
    page.get_by_role("link", name="Sign up for Starter").click()
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("Email").fill(olga.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    pay(page)
    expect(page.get_by_text("You are on Starter.")).to_be_visible()
    credits_are(page, total="250.00")


def test_a_free_customer_upgrades_from_billing(new_page: NewPage, shop: Shop, olga: User) -> None:  # B6
    page = new_page(olga)
    open_billing(page)
    plan_card(page, "Free", "Active")
    page.get_by_role("button", name="Get Pro").click()
    pay(page)
    expect(page.get_by_text("You are on Pro.")).to_be_visible()
    page.get_by_role("link", name="Back to Billing").click()
    plan_card(page, "Pro", "Active")
    fact(page, "Renews on", "24 Apr 2026")


# Additional credits


def test_slider_number_and_total_go_together_without_a_request(
    new_page: NewPage, olga: User, pro: str
) -> None:  # B4 N8
    page = new_page(olga)
    open_billing(page)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    slider, number = page.get_by_label("Credits, by slider"), page.get_by_label("Credits", exact=True)
    total = page.locator(".buy-total")
    slider.focus()
    for key, quantity, price in (
        ("ArrowRight", "101", "$10.10"),
        ("ArrowDown", "100", "$10.00"),
        ("End", "300", "$30.00"),
        ("Home", "1", "–"),
        ("ArrowUp", "2", "–"),
    ):
        page.keyboard.press(key)
        expect(number).to_have_value(quantity)
        expect(total).to_have_text(price)
        expect(slider).to_have_attribute("aria-valuetext", f"{quantity} credits")
    drag(page, 0.5)
    dragged = int(number.input_value())
    assert 140 <= dragged <= 161
    expect(slider).to_have_value(str(dragged))
    expect(total).to_have_text(f"${dragged / 10:.2f}")
    number.fill("137")
    expect(slider).to_have_value("137")
    expect(total).to_have_text("$13.70")
    assert asked == []


def drag(page: Page, share: float) -> None:
    """Drag the slider's thumb, which stands near the start, to this share of its track."""
    box = page.get_by_label("Credits, by slider").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 11, middle)
    page.mouse.down()
    for step in range(1, 11):
        page.mouse.move(box["x"] + box["width"] * share * step / 10, middle)
    page.mouse.up()


@SCRIPT
def test_137_credits_arrive_while_the_page_is_open(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool
) -> None:  # B4 B5 N4
    page = new_page(olga, java_script_enabled=script)
    open_billing(page)
    shop.fall_silent()
    purchase(page, 137)
    expect(page.locator(".totals .sum dd")).to_have_text("$16.44")
    pay(page)
    expect(page).to_have_url(PURCHASE)
    expect(page.get_by_text("Payment received, adding 137 credits.")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    shop.speak()
    expect(page.get_by_text("137 credits added.")).to_be_visible()
    if script:
        assert page.evaluate("window.sameDocument")
        expect(page.locator("#announcer")).to_have_text("137 credits added")
    credits_are(page, total="1,000.00", additional="137.00")
    open_billing(page)
    assert payments(page)[0] == "137 additional credits"


@SCRIPT
def test_too_few_credits_are_explained_and_the_number_stays(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool, expected_faults: list[str]
) -> None:  # B4 N4
    expected_faults += ["status of 422"]
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)
    number, button = page.get_by_label("Credits", exact=True), page.get_by_role("button", name="Purchase Credits")
    number.fill("5")
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    if script:
        expect(page.locator("#credits_least")).to_have_text(TOO_FEW)
        expect(button).to_have_attribute("aria-disabled", "true")
    # Playwright would wait for a button with aria-disabled.
    button.click(force=True)
    expect(page.locator("#credits_least")).to_have_text(TOO_FEW)
    expect(number).to_have_value("5")
    expect(number).to_be_focused()
    assert len(shop.transactions()) == before
    assert bool(asked) != script
    number.fill("7")
    button.click()
    expect(page).to_have_url(CHECKOUT)


@SCRIPT
def test_what_is_no_quantity_has_no_price_and_a_reason(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool, expected_faults: list[str]
) -> None:  # B4 N4
    expected_faults += ["status of 422"]
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)
    number, button = page.get_by_label("Credits", exact=True), page.get_by_role("button", name="Purchase Credits")
    for typed in NO_QUANTITIES if script else NO_QUANTITIES[:3]:
        number.fill("")
        number.press_sequentially(typed)
        if script:
            expect(page.locator(".buy-total")).to_have_text("–")
            expect(button).to_have_attribute("aria-disabled", "true")
        button.click(force=True)
        expect(page.locator("#credits_least")).to_have_text(WRONG)
        expect(number).to_have_value(typed)
        expect(number).to_have_attribute("aria-invalid", "true")
        expect(number).to_be_focused()
    assert len(shop.transactions()) == before
    number.fill(" 50 ")
    if script:
        expect(page.locator(".buy-total")).to_have_text("$5.00")
        expect(page.locator("#credits_least")).to_be_empty()
        expect(number).to_have_attribute("aria-invalid", "false")
    button.click()
    expect(page).to_have_url(CHECKOUT)
    assert Purchase.objects.get(quantity=50).amount == 500


def test_back_and_reload_show_the_price_of_the_number_that_is_there(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B4
    page = new_page(olga)
    open_billing(page)
    number, total = page.get_by_label("Credits", exact=True), page.locator(".buy-total")
    number.fill("1e2")
    page.reload()
    agree(page)
    number.fill("99999")
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Feedback").click()
    expect(page.get_by_role("heading", name="Report a bug")).to_be_visible()
    page.go_back()
    expect(number).to_be_visible()
    agree(page)
    number.fill("42")
    expect(total).to_have_text("$4.20")
    page.get_by_role("button", name="Purchase Credits").click()
    expect(page).to_have_url(CHECKOUT)
    page.go_back()
    expect(number).to_be_visible()
    agree(page)


def agree(page: Page) -> None:
    """The price is that of the number, or there is none and the button explains itself."""
    total = page.locator(".buy-total")
    expect(total).not_to_be_empty()
    typed = page.get_by_label("Credits", exact=True).input_value()
    disabled = page.get_by_role("button", name="Purchase Credits").get_attribute("aria-disabled") == "true"
    assert total.inner_text() == (f"${int(typed) / 10:.2f}" if typed.isdecimal() and 7 <= int(typed) <= 300 else "–")
    assert disabled == (total.inner_text() == "–")


def test_who_may_not_buy_credits_sees_why(new_page: NewPage, shop: Shop, olga: User) -> None:  # B4
    page = new_page(olga)
    open_billing(page)
    expect(page.get_by_text("Additional credits come with Pro.")).to_be_visible()
    shop.subscribe(olga, "starter")
    page.reload()
    panel = page.get_by_role("region", name="Additional Credits")
    expect(panel).to_contain_text("Additional credits come with Pro.")
    panel.get_by_role("link", name="Change to Pro").click()
    expect(page.get_by_role("heading", name="Change plan", level=1)).to_be_focused()


# Changing, cancelling, keeping


@SCRIPT
def test_a_cancellation_is_explained_and_undone_with_one_click(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool
) -> None:  # B2 B3 N4
    page = new_page(olga, java_script_enabled=script)
    open_billing(page)
    page.get_by_role("link", name="Cancel Subscription").click()
    expect(page.get_by_role("heading", name="Cancel Pro?", level=1)).to_be_visible()
    expect(page.get_by_text("Pro stays as it is until 24 Apr 2026. Nothing more is charged.")).to_be_visible()
    expect(page.get_by_text("Then your account goes on as Free, with 50 credits a month.")).to_be_visible()
    page.get_by_role("button", name="Cancel Subscription").click()
    expect(page).to_have_url(BILLING)
    expect(page.locator(".notice")).to_contain_text("Pro ends on 24 Apr 2026. Until then nothing changes.")
    fact(page, "Ends on", "24 Apr 2026")
    plan_card(page, "Pro", "Active")
    if script:
        expect(page).to_have_title("Billing · Sidekick")
        expect(page.get_by_role("heading", name="Billing", level=1)).to_be_focused()
    page.get_by_role("button", name="Keep Pro").click()
    expect(page.locator(".notice")).to_have_count(0)
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Your plan goes on as before.")
    fact(page, "Renews on", "24 Apr 2026")
    shop.deliver()
    page.reload()
    fact(page, "Renews on", "24 Apr 2026")


def test_a_canceled_plan_ends_when_what_was_paid_for_is_over(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller
) -> None:  # B2 M9
    shop.buy(olga, "credits", 40)
    page = new_page(olga)
    page.goto("/dashboard/billing/cancel")
    page.get_by_role("button", name="Cancel Subscription").click()
    expect(page.locator(".notice")).to_contain_text("Pro ends on 24 Apr 2026.")
    credits_are(page, total="1,000.00", additional="40.00")
    clock.shift(timedelta(days=32))
    time_passes(shop)
    page = new_page(olga)
    open_billing(page)
    plan_card(page, "Free", "Canceled")
    # The unused credits of Pro roll over once.
    credits_are(page, total="1,050.00", additional="40.00")


def time_passes(shop: Shop) -> None:
    """Let Paddle do what falls due, and then the worker's minute come."""
    shop.world.catch_up()
    shop.deliver()
    schedule.end_plans(shop.world.now())


@SCRIPT
def test_an_upgrade_costs_what_was_announced_and_a_downgrade_waits(
    new_page: NewPage, shop: Shop, olga: User, clock: time_machine.Traveller, script: bool
) -> None:  # B6 M9 N4
    shop.subscribe(olga, "starter")
    clock.shift(timedelta(days=10))
    page = new_page(olga, java_script_enabled=script)
    open_billing(page)
    choose_plan(page, "Pro")
    first = page.locator(".points li").first
    expect(first).to_contain_text(re.compile(r"You pay \$\d+\.\d\d now, of which \$\d+\.\d\d is tax\."))
    announced = re.findall(r"\$(\d+\.\d\d)", first.inner_text())
    expect(page.locator(".points")).to_contain_text("From 24 Apr 2026 you pay $46.80 a month.")
    page.get_by_role("button", name="Confirm change to Pro").click()
    expect(page).to_have_url(BILLING)
    expect(page.get_by_role("status", name="Messages")).to_contain_text("Your plan changes to Pro.")
    shop.deliver()
    page.reload()
    plan_card(page, "Pro", "Active")
    assert payments(page)[0] == "Upgrade to Pro"
    row = page.locator("table.payments tbody tr").first
    expect(row.locator("td").last).to_have_text(f"${announced[0]}")
    expect(row.locator("[data-label=Tax]")).to_have_text(f"${announced[1]}")
    # Pro's 750 more credits, times the 21 days left of 31.
    page.goto("/dashboard/credits")
    assert 758.04 <= float(page.locator(".card-value").nth(2).inner_text()) <= 758.06
    goes_down_to_starter(page, shop)
    clock.shift(timedelta(days=22))
    time_passes(shop)
    page = new_page(olga, java_script_enabled=script)
    open_billing(page)
    plan_card(page, "Starter", "Active")
    expect(page.locator(".plan-card-price")).to_have_text("$15 a month")


def choose_plan(page: Page, name: str) -> None:
    page.get_by_role("link", name="Change plan").click()
    expect(page.get_by_role("heading", name="Change plan", level=1)).to_be_visible()
    page.get_by_role("link", name=f"Change to {name}").click()


def goes_down_to_starter(page: Page, shop: Shop) -> None:
    before = len(shop.transactions())
    open_billing(page)
    choose_plan(page, "Starter")
    expect(page.locator(".points")).to_contain_text("Nothing to pay now.")
    expect(page.locator(".points")).to_contain_text("Starter from 24 Apr 2026; Pro until then.")
    page.get_by_role("button", name="Confirm change to Starter").click()
    expect(page.locator(".plan-card-price")).to_contain_text("Starter from 24 Apr 2026, $15 a month")
    shop.deliver()
    page.reload()
    plan_card(page, "Pro", "Active")
    expect(page.locator(".plan-card-price")).to_contain_text("Starter from 24 Apr 2026, $15 a month")
    assert len(shop.transactions()) == before


# When a payment fails


def test_a_failed_renewal_is_paid_with_a_new_card(new_page: NewPage, shop: Shop, olga: User, pro: str) -> None:  # B1 B7
    page = new_page(olga)
    shop.fail_renewal(pro)
    open_billing(page)
    banner = page.locator(".notice-danger")
    expect(banner).to_contain_text("Your last payment for Pro didn’t go through. Pro stays until 1 May 2026.")
    plan_card(page, "Pro", "Past due")
    assert page.locator("table.payments tbody tr").first.locator(".badge").inner_text() == "Past due"
    banner.get_by_role("button", name="Update card").click()
    expect(page.get_by_role("heading", name="Overdue payment")).to_be_visible()
    pay(page, "Card that is declined")
    expect(page.get_by_role("alert")).to_contain_text("The card was declined.")
    pay(page)
    expect(page).to_have_url(BILLING)
    shop.deliver()
    page.reload()
    plan_card(page, "Pro", "Active")
    expect(page.locator(".notice")).to_have_count(0)
    expect(page.locator("table.payments .badge")).to_have_count(0)


def test_a_plan_that_stays_unpaid_past_its_grace_is_over(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller
) -> None:  # B7 M7
    shop.world.fail_next_payment(pro)
    clock.shift(timedelta(days=31, hours=1))
    time_passes(shop)
    page = new_page(olga)
    open_billing(page)
    expect(page.locator(".notice-danger")).to_contain_text("Pro stays until 1 May 2026.")
    clock.shift(timedelta(days=7))
    time_passes(shop)
    page.reload()
    plan_card(page, "Free", "Past due")
    expect(page.locator(".notice-danger")).to_contain_text("Your account is on Free until it does.")
    expect(page.locator(".notice-danger").get_by_role("button", name="Update card")).to_be_visible()


def test_a_new_card_is_saved_before_anything_fails(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B7 B9
    page = new_page(olga)
    open_billing(page)
    page.get_by_role("button", name="Update card").click()
    expect(page.get_by_role("heading", name="Your new card")).to_be_visible()
    pay(page)
    expect(page).to_have_url(BILLING)
    shop.deliver()
    page.reload()
    assert payments(page) == ["Pro, 24 Mar – 24 Apr 2026"]


def test_a_pause_says_what_it_means_and_ends_when_the_customer_says_so(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B1
    page = new_page(olga)
    shop.pause(pro)
    schedule.end_plans(shop.world.now())
    open_billing(page)
    plan_card(page, "Free", "Paused")
    expect(page.locator(".notice")).to_contain_text("Pro is paused. Your account is on Free until it resumes")
    page.get_by_role("link", name="Resume Pro").click()
    expect(page.get_by_text("A new month begins now, and your card is charged $39 plus tax")).to_be_visible()
    page.get_by_role("button", name="Resume and pay").click()
    expect(page).to_have_url(BILLING)
    shop.deliver()
    page.reload()
    plan_card(page, "Pro", "Active")
    expect(page.locator(".notice")).to_have_count(0)
    credits_are(page, total="1,000.00")


# Money back


def test_a_refund_takes_back_the_credits_that_it_pays_for(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B8 P4
    bought = shop.buy(olga, "credits", 137)
    page = new_page(olga)
    credits_are(page, total="1,000.00", additional="137.00")
    line = shop.world.state.transactions.get(bought.transaction_id)["details"]["line_items"][0]["id"]
    pending = shop.world.refund(bought.transaction_id, {line: 480}, approve=False)
    shop.deliver()
    open_billing(page)
    badges = page.locator("table.payments tbody tr", has_text="137 additional credits").locator(".badge")
    expect(badges).to_have_text(["Refund pending"])
    credits_are(page, total="1,000.00", additional="137.00")
    shop.world.approve(pending["id"])
    shop.deliver()
    credits_are(page, total="1,000.00", additional="97.00")
    open_billing(page)
    expect(badges).to_have_text(["$4.80 refunded"])


def test_a_dispute_blocks_buying_until_it_is_settled(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B4 P4
    bought = shop.buy(olga, "credits", 137)
    disputed = shop.world.charge_back(bought.transaction_id)
    shop.deliver()
    page = new_page(olga)
    open_billing(page)
    panel = page.get_by_role("region", name="Additional Credits")
    expect(panel).to_contain_text("Your bank disputed a payment. Until that is settled nothing can be bought")
    expect(panel.get_by_role("button")).to_have_count(0)
    badges = page.locator("table.payments tbody tr", has_text="137 additional credits").locator(".badge")
    expect(badges).to_have_text(["Disputed"])
    credits_are(page, total="1,000.00")
    shop.world.reverse(disputed["id"])
    shop.deliver()
    open_billing(page)
    expect(badges).to_have_text(["Dispute won"])
    expect(panel.get_by_role("button", name="Purchase Credits")).to_be_visible()
    credits_are(page, total="1,000.00", additional="137.00")


# Odd ways through a checkout


@SCRIPT
def test_a_closed_checkout_leaves_nothing_behind(
    new_page: NewPage, olga: User, pro: str, script: bool
) -> None:  # B8 N4
    page = new_page(olga, java_script_enabled=script)
    open_billing(page)
    before = payments(page)
    purchase(page, 50)
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(BILLING)
    expect(page.get_by_role("status", name="Messages")).to_contain_text("The checkout is closed. Nothing was charged.")
    expect(page.locator(".notice")).to_have_count(0)
    assert payments(page) == before


@SCRIPT
def test_a_double_click_opens_one_checkout(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool
) -> None:  # B4 N4
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)
    page.get_by_role("button", name="Purchase Credits").dblclick()
    # Without a script the second click may meet a checkout that is still being opened.
    expect(page).to_have_url(re.compile(f"{CHECKOUT.pattern}|{PURCHASE.pattern}"))
    if PURCHASE.search(page.url):
        page.get_by_role("link", name="Continue to payment").click()
    pay(page)
    expect(page.get_by_text("100 credits added.")).to_be_visible()
    assert len(shop.transactions()) == before + 1


@SCRIPT
def test_a_form_that_arrives_twice_opens_one_checkout(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool
) -> None:  # B4 N4
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)

    def send_twice(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.continue_()

    page.route("**/dashboard/billing/credits", send_twice)
    page.get_by_role("button", name="Purchase Credits").click()
    expect(page).to_have_url(CHECKOUT)
    assert len(shop.transactions()) == before + 1


def test_back_from_the_checkout_and_pay_later(new_page: NewPage, shop: Shop, olga: User, pro: str) -> None:  # B4
    page = new_page(olga)
    open_billing(page)
    purchase(page, 20)
    expect(page).to_have_url(CHECKOUT)
    page.go_back()
    expect(page).to_have_url(BILLING)
    expect(page.get_by_role("button", name="Purchase Credits")).to_be_enabled()
    page.go_forward()
    pay(page)
    expect(page.get_by_text("20 credits added.")).to_be_visible()
    credits_are(page, total="1,000.00", additional="20.00")


def test_paddles_payment_link_opens_an_own_purchase(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B4 B10
    opened = shop.buy(olga, "credits", 20, pay="")
    page = new_page(olga)
    page.goto(f"/dashboard/billing/pay?_ptxn={opened.transaction_id}")
    expect(page.get_by_role("heading", name="20 additional credits", level=1)).to_be_visible()
    page.get_by_role("link", name="Continue to payment").click()
    pay(page)
    expect(page.get_by_text("20 credits added.")).to_be_visible()


def test_what_was_paid_in_another_tab_is_not_paid_again(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B5
    first = new_page(olga)
    open_billing(first)
    purchase(first, 20)
    expect(first).to_have_url(CHECKOUT)
    second = first.context.new_page()
    second.goto(first.url)
    pay(first)
    expect(first.get_by_text("20 credits added.")).to_be_visible()
    shop.deliver()
    second.reload()
    expect(second.get_by_text("there is nothing left to pay")).to_be_visible()
    second.get_by_role("link", name="Back").click()
    expect(second.get_by_text("20 credits added.")).to_be_visible()
    credits_are(second, total="1,000.00", additional="20.00")


def test_two_tabs_buy_one_each(new_page: NewPage, shop: Shop, olga: User, pro: str) -> None:  # B4 B5
    first = new_page(olga)
    second = first.context.new_page()
    for page, quantity in ((first, 20), (second, 30)):
        open_billing(page)
        purchase(page, quantity)
    for page, quantity in ((second, 30), (first, 20)):
        pay(page)
        expect(page.get_by_text(f"{quantity} credits added.")).to_be_visible()
    credits_are(first, total="1,000.00", additional="50.00")


# When Paddle is late or down


def test_a_webhook_that_is_late_is_waited_for_in_calm_words(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller
) -> None:  # B5
    page = new_page(olga)
    page.clock.install()
    open_billing(page)
    shop.fall_silent()
    purchase(page, 20)
    pay(page)
    expect(page.get_by_text("This page updates itself.")).to_be_visible()
    clock.shift(timedelta(seconds=91))
    page.clock.run_for(3_000)
    expect(page.get_by_text("This takes longer than usual. Nothing is lost")).to_be_visible()
    shop.speak()
    page.clock.run_for(11_000)
    expect(page.get_by_text("20 credits added.")).to_be_visible()


def test_billing_tells_of_a_payment_on_its_way_and_goes_on_by_itself(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller
) -> None:  # B5 B8 N8
    [setting] = api.catalogue("notification_setting")
    api.change("notification_setting", setting["id"], {"subscribed_events": ["transaction.paid"]})
    shop.world.faults.add("error", method="GET", path="/transactions", times=1000)
    shop.buy(olga, "credits", 20)
    page = new_page(olga)
    open_billing(page)
    expect(page.locator(".notice")).to_contain_text("Payment received, adding 20 credits.")
    expect(page.locator("table.payments tbody tr").first.locator(".badge")).to_have_text("Processing")
    page.get_by_label("Credits", exact=True).fill("42")
    shop.world.faults.clear()
    clock.shift(timedelta(seconds=11))
    expect(page.locator(".notice")).to_contain_text("20 credits added.")
    expect(page.locator("#announcer")).to_have_text("20 credits added")
    expect(page.get_by_label("Credits", exact=True)).to_have_value("42")
    expect(page.get_by_label("Credits", exact=True)).to_be_focused()


def test_a_webhook_that_never_comes_is_made_up_for_by_asking(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller
) -> None:  # B5
    page = new_page(olga)
    open_billing(page)
    shop.world.switch("hold", True)
    purchase(page, 20)
    pay(page)
    clock.shift(timedelta(seconds=11))
    expect(page.get_by_text("20 credits added.")).to_be_visible()
    shop.speak()
    credits_are(page, total="1,000.00", additional="20.00")


@SCRIPT
def test_a_busy_paddle_is_said_and_the_next_try_works(
    new_page: NewPage, shop: Shop, olga: User, pro: str, script: bool, expected_faults: list[str]
) -> None:  # N4 N7
    expected_faults += ["status of 503"]
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)
    shop.world.faults.add("too_many_requests", method="POST", path="/transactions")
    purchase(page, 137)
    sees_a_problem(page, "Paddle, which handles our payments, is very busy. Try again in a minute.")
    page.get_by_role("button", name="Purchase Credits").click()
    pay(page)
    expect(page.get_by_text("137 credits added.")).to_be_visible()
    assert len(shop.transactions()) == before + 1


@pytest.mark.parametrize("fault", ["error", "unanswered"])
def test_whoever_waits_as_told_buys_once(
    new_page: NewPage, shop: Shop, olga: User, pro: str, clock: time_machine.Traveller, fault: str
) -> None:
    """The outcome of a lost call is found out before Paddle is asked again."""  # B5 N7
    page, before = new_page(olga), len(shop.transactions())
    open_billing(page)
    # No webhook comes either.
    shop.world.switch("hold", True)
    shop.world.faults.add(fault, method="POST", path="/transactions")
    purchase(page, 137)
    sees_a_problem(page, "didn't say whether that worked. Wait a minute")
    clock.shift(timedelta(seconds=91))
    page.get_by_role("button", name="Purchase Credits").click()
    pay(page)
    shop.speak()
    expect(page.get_by_text("137 credits added.")).to_be_visible()
    assert len(shop.transactions()) == before + 1


@SCRIPT
def test_whoever_tries_again_at_once_gets_the_checkout_that_was_opened_unheard(
    new_page: NewPage,
    shop: Shop,
    olga: User,
    pro: str,
    clock: time_machine.Traveller,
    script: bool,
    expected_faults: list[str],
) -> None:  # B5 N4 N7
    expected_faults += ["status of 503"]
    page, before = new_page(olga, java_script_enabled=script), len(shop.transactions())
    open_billing(page)
    shop.world.switch("hold", True)
    shop.world.faults.add("unanswered", method="POST", path="/transactions")
    purchase(page, 137)
    sees_a_problem(page, "didn't say whether that worked.")
    page.get_by_role("button", name="Purchase Credits").click()
    expect(page.get_by_text("Preparing the checkout.")).to_be_visible()
    clock.shift(timedelta(seconds=11))
    page.get_by_role("link", name="Continue to payment").click()
    pay(page)
    shop.speak()
    expect(page.get_by_text("137 credits added.")).to_be_visible()
    assert len(shop.transactions()) == before + 1


def sees_a_problem(page: Page, words: str) -> None:
    """The form keeps the number that was typed."""
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text(words)
    expect(problem).to_be_focused()
    expect(page.get_by_label("Credits", exact=True)).to_have_value("137")


def test_a_change_of_plan_survives_a_paddle_that_is_down(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B2 B6 N7
    page = new_page(olga)
    open_billing(page)
    shop.world.faults.add("error", path=f"/subscriptions/{pro}", times=9)
    choose_plan(page, "Starter")
    expect(page.get_by_role("alert")).to_be_focused()
    shop.world.faults.clear()
    page.get_by_role("link", name="Try again").click()
    expect(page.locator(".points")).to_contain_text("Nothing to pay now.")
    page.goto("/dashboard/billing/cancel")
    shop.world.faults.add("error", path=f"/subscriptions/{pro}", times=9)
    page.get_by_role("button", name="Cancel Subscription").click()
    expect(page.get_by_role("alert")).to_be_focused()
    shop.world.faults.clear()
    page.get_by_role("button", name="Cancel Subscription").click()
    expect(page.locator(".notice")).to_contain_text("Pro ends on 24 Apr 2026.")


# Other accounts and visitors


def test_a_session_that_ends_while_the_page_waits_leads_to_sign_in_and_back(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # A3 B5
    page = new_page(olga)
    open_billing(page)
    shop.fall_silent()
    purchase(page, 20)
    pay(page)
    expect(page.get_by_text("Payment received")).to_be_visible()
    here = page.url
    DeviceSession.objects.all().end(DeviceSession.Ended.BY_CUSTOMER)
    expect(page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()
    shop.speak()
    page.get_by_label("Email").fill(olga.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(here)
    expect(page.get_by_text("20 credits added.")).to_be_visible()


def test_a_strangers_addresses_lead_nowhere(
    new_page: NewPage, shop: Shop, olga: User, pro: str, expected_faults: list[str]
) -> None:  # B10
    expected_faults += ["status of 404"]
    bought = shop.buy(olga, "credits", 20)
    opened = shop.buy(olga, "credits", 30, pay="")
    page = new_page(make_user("charlie@example.com"))
    credit = PlanPrice.objects.per_credit().get()
    for path in (
        f"purchases/{bought.id}",
        f"purchases/{opened.id}/progress",
        f"payments/{bought.transaction_id}/invoice",
        f"pay?_ptxn={opened.transaction_id}",
        f"plan/{credit.pk}",
        "plan/999999",
    ):
        page.goto(f"/dashboard/billing/{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
        assert page.url.endswith(path)
    assert olga.email not in page.content()
    assert bought.transaction_id not in page.content()


def test_an_invoice_is_a_pdf_and_the_portal_is_paddles(
    new_page: NewPage, shop: Shop, olga: User, pro: str
) -> None:  # B7 B8
    page = new_page(olga)
    open_billing(page)
    link = page.get_by_role("link", name="PDF of 24 Mar 2026")
    pdf = page.context.request.get(str(link.get_attribute("href")))
    assert (pdf.status, pdf.headers["content-type"]) == (200, "application/pdf")
    assert pdf.body().startswith(b"%PDF-")
    page.get_by_role("button", name="Billing portal").click()
    expect(page.get_by_role("heading", name="Your subscriptions")).to_be_visible()
    assert page.url.startswith(f"{shop.url}/portal/")
    page.go_back()
    expect(page).to_have_url(BILLING)


# Without a mouse


def test_a_whole_purchase_by_keyboard(new_page: NewPage, shop: Shop, olga: User, pro: str) -> None:  # B4 N4 N8
    page = new_page(olga)
    page.goto("/dashboard/credits", wait_until="load")
    reach(page, "link", "Billing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Billing", level=1)).to_be_focused()
    reach(page, "slider", "Credits, by slider")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    reach(page, "textbox", "Credits")
    expect(page.get_by_label("Credits", exact=True)).to_have_value("103")
    shop.world.faults.add("too_many_requests", method="POST", path="/transactions")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    reach(page, "button", "Purchase Credits")
    page.keyboard.press("Enter")
    expect(page).to_have_url(CHECKOUT)
    reach(page, "button", "Pay $12.36")
    page.keyboard.press("Enter")
    expect(page.get_by_text("103 credits added.")).to_be_visible()
    reach(page, "link", "See your credits")
    page.keyboard.press("Enter")
    expect(page.locator(".card-value").nth(3)).to_have_text("103.00")


def reach(page: Page, role: Any, name: str) -> None:
    """Press Tab until this element has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate_all("found => found.includes(document.activeElement)"):
            return
    pytest.fail(f"Tab never reaches {role} {name!r}")
