"""Changing, cancelling, keeping and resuming a plan."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from billing import schedule, subscriptions
from billing.models import PlanPrice, Purchase, Subscription
from sidekick.accounts.models import User
from tests.billing.pages.reading import ACT, HOME, facts, page, rows, words
from tests.billing.store import Store, price

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


SignIn = Callable[[Client, User], None]


def test_a_scheduled_end_is_announced_and_undone_with_one_click(
    browser: Client, alice: User, store: Store, pro: str
) -> None:  # B1 B2 B3
    text = words(page(browser, f"{HOME}/cancel"))
    assert "Pro stays as it is until 3 Jun 2026. Nothing more is charged." in text
    assert "Then your account goes on as Free, with 50 credits a month." in text
    done = browser.post(f"{HOME}/cancel", follow=True)
    assert done.redirect_chain == [(HOME, 302)]
    html = done.content.decode()
    assert "Your subscription is canceled. Nothing changes until it ends." in words(html)
    assert "Pro ends on 3 Jun 2026. Until then nothing changes. Keep Pro" in words(html)
    assert facts(html)["Ends on"] == "3 Jun 2026"
    assert "Renews on" not in html
    assert "Cancel Subscription" not in html
    assert "Purchase Credits" in html
    undone = browser.post(f"{HOME}/keep", follow=True).content.decode()
    assert "Your plan goes on as before." in words(undone)
    assert facts(undone)["Renews on"] == "3 Jun 2026"
    assert 'class="notice notice-' not in undone


def test_a_swap_brings_its_message_along(browser: Client, pro: str) -> None:  # N4 N8
    done = browser.post(f"{HOME}/cancel", headers=ACT, follow=True)
    html = done.content.decode()
    assert "<html" not in html
    assert 'hx-swap-oob="beforeend:#toasts"' in html
    assert "Your subscription is canceled." in html
    assert "Your subscription is canceled." not in page(browser)


def test_cancelling_nothing_leads_back(browser: Client, store: Store, alice: User) -> None:
    assert browser.get(f"{HOME}/cancel")["Location"] == HOME
    refused = browser.post(f"{HOME}/cancel")
    assert refused.status_code == 409
    assert "There is nothing to cancel" in words(refused.content.decode())
    assert browser.post(f"{HOME}/keep").status_code == 409
    assert "Nothing is scheduled that could be undone." in words(browser.post(f"{HOME}/keep").content.decode())
    assert browser.get(f"{HOME}/resume")["Location"] == HOME
    assert browser.post(f"{HOME}/resume").status_code == 409


def test_an_overdue_payment_says_how_long_the_plan_stays(
    browser: Client, store: Store, pro: str, clock: time_machine.Traveller, sign_in: SignIn, alice: User
) -> None:  # B7
    clock.move_to(datetime(2026, 6, 3, 10, 5, tzinfo=UTC))
    sign_in(browser, alice)
    store.fail_renewal(pro)
    html = page(browser)
    assert "Plan Pro Past due" in words(html)
    assert "Your last payment for Pro didn’t go through. Pro stays until 10 Jun 2026." in words(html)
    assert "Pro stays as it is until 10 Jun 2026." in words(page(browser, f"{HOME}/cancel"))
    assert "notice-danger" in html
    assert "Change plan" not in html
    assert rows(html)[0]["Status"] == "Past due"
    clock.move_to(datetime(2026, 6, 11, tzinfo=UTC))
    sign_in(browser, alice)
    schedule.end_plans(timezone.now())
    over = words(page(browser))
    assert "Your account is on Free until it does. Update your card" in over
    assert "Nothing more is charged. Your account stays on Free." in words(page(browser, f"{HOME}/cancel"))


def test_a_paused_plan_is_resumed_after_a_question(browser: Client, store: Store, pro: str) -> None:  # B1
    store.pause(pro, days=40)
    html = page(browser)
    assert "Paused" in html
    assert "Pro is paused." in words(html)
    assert "It resumes on 12 Jun 2026." in words(html)
    schedule.end_plans(timezone.now())
    followed = words(page(browser))
    assert "Your account is on Free until it resumes, and nothing is charged." in followed
    assert "Plan Free Paused $0 for now, Pro is $39 a month" in followed
    assert "Resume Pro? A new month begins now, and your card is charged $39" in words(page(browser, f"{HOME}/resume"))
    done = browser.post(f"{HOME}/resume", follow=True).content.decode()
    assert "Your plan is back as soon as the payment arrives." in words(done)
    store.deliver()
    assert "Plan Pro Active $39 a month" in words(page(browser))


def test_a_paused_plan_can_be_canceled_at_once(browser: Client, store: Store, pro: str) -> None:  # B2
    store.pause(pro, days=40)
    schedule.end_plans(timezone.now())
    asked = words(page(browser, f"{HOME}/cancel"))
    assert "Cancel Pro? Pro ends at once and can’t be resumed. Nothing more is charged." in asked
    assert "You can change your mind" not in asked
    done = words(browser.post(f"{HOME}/cancel", follow=True).content.decode())
    assert "Your subscription is canceled." in done
    assert "Nothing changes until it ends" not in done
    assert "Plan Free Canceled $0" in done
    assert "Get Pro" in words(page(browser, "/pricing"))


def test_a_scheduled_pause_can_be_undone(browser: Client, store: Store, pro: str) -> None:  # B1
    store.pause(pro, now=False)
    html = page(browser)
    assert "Pro pauses on 3 Jun 2026. Until then nothing changes. Keep Pro" in words(html)
    assert facts(html)["Pauses on"] == "3 Jun 2026"
    assert "Your plan goes on as before." in words(browser.post(f"{HOME}/keep", follow=True).content.decode())


def test_an_upgrade_shows_paddle_s_own_figures_first(browser: Client, store: Store, alice: User) -> None:  # B6
    store.subscribe(alice, "starter")
    text = words(page(browser, f"{HOME}/plan"))
    assert "Starter Your plan $15 a month" in text
    assert "Change to Pro" in text
    before = words(page(browser, f"{HOME}/plan/{price('pro').pk}"))
    assert "You pay $28.80 now, of which $4.80 is tax." in before
    assert "From 3 Jun 2026 you pay $46.80 a month." in before
    assert Subscription.objects.get().price_id == price("starter").paddle_price_id
    done = browser.post(f"{HOME}/plan/{price('pro').pk}", follow=True).content.decode()
    assert "Your plan changes to Pro." in words(done)
    store.deliver()
    html = page(browser)
    assert "Plan Pro Active $39 a month" in words(html)
    assert [row["For"] for row in rows(html)] == ["Upgrade to Pro", "Starter, 3 May – 3 Jun 2026"]


def test_a_downgrade_begins_with_the_next_period(browser: Client, store: Store, pro: str) -> None:  # B6 M9
    before = words(page(browser, f"{HOME}/plan/{price('starter').pk}"))
    assert "Nothing to pay now. Starter from 3 Jun 2026; Pro until then." in before
    assert "From 3 Jun 2026 you pay $18.00 a month." in before
    browser.post(f"{HOME}/plan/{price('starter').pk}")
    store.deliver()
    html = page(browser)
    assert "Plan Pro Active Starter from 3 Jun 2026, $15 a month" in words(html)
    assert facts(html)["Monthly credits"] == "1,000"
    choices = words(page(browser, f"{HOME}/plan"))
    assert "Starter Your next plan" in choices
    assert "Stay on Pro" in choices
    back = words(page(browser, f"{HOME}/plan/{price('pro').pk}"))
    assert "Nothing to pay now. Pro goes on as before." in back


def test_changing_to_the_same_plan_is_refused(browser: Client, pro: str) -> None:
    refused = browser.get(f"{HOME}/plan/{price('pro').pk}")
    assert refused.status_code == 409
    assert "You are on Pro already." in words(refused.content.decode())
    assert "Confirm" not in refused.content.decode()


def test_without_a_subscription_there_is_no_plan_to_change(browser: Client, store: Store) -> None:
    assert browser.get(f"{HOME}/plan")["Location"] == HOME
    assert browser.post(f"{HOME}/plan/{price('pro').pk}").status_code == 409
    assert not Subscription.objects.exists()


def test_a_declined_card_changes_nothing_and_says_so(browser: Client, store: Store, alice: User) -> None:  # B6
    sub = store.subscribe(alice, "starter")
    store.world.fail_next_payment(sub)
    refused = browser.post(f"{HOME}/plan/{price('pro').pk}")
    assert refused.status_code == 503
    text = words(refused.content.decode())
    assert "Your card was declined, and the plan stays as it was." in text
    assert "Confirm change to Pro" in text
    assert subscriptions.state_of(alice).plan.slug == "starter"


@pytest.mark.parametrize("plan", ["pro", "free"])
@pytest.mark.parametrize(("interval", "currency"), [("credit", "USD"), ("month", "EUR")])
def test_only_plans_on_sale_can_be_bought_or_changed_to(
    browser: Client, store: Store, plan: str, interval: str, currency: str
) -> None:  # B10
    row, _ = PlanPrice.objects.get_or_create(
        plan_id=plan, interval=interval, currency=currency, defaults={"amount": 900, "paddle_price_id": f"pri_1{plan}"}
    )
    for pk in (row.pk, price("free").pk, 999_999, 10**25):
        assert browser.post(f"{HOME}/subscribe/{pk}", {"token": uuid4()}).status_code == 404
        assert browser.get(f"{HOME}/plan/{pk}").status_code == 404
        assert browser.post(f"{HOME}/plan/{pk}").status_code == 404
    assert not Purchase.objects.exists()


def test_a_fault_while_a_plan_is_previewed_leaves_a_way_back(browser: Client, store: Store, pro: str) -> None:
    store.world.faults.add("too_many_requests", method="PATCH", path="/subscriptions", seconds=9)
    response = browser.get(f"{HOME}/plan/{price('starter').pk}")
    assert response.status_code == 503
    assert "Try again" in words(response.content.decode())
    assert "Confirm" not in response.content.decode()


def test_previews_are_counted_though_they_change_nothing(browser: Client, store: Store, alice: User) -> None:  # B10
    store.subscribe(alice, "starter")
    path = f"{HOME}/plan/{price('pro').pk}"
    assert [browser.get(path).status_code for _ in range(31)] == [200] * 30 + [429]
