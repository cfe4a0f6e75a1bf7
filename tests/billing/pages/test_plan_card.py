"""The plan card."""

from __future__ import annotations

import pytest
from django.test import Client

from billing.models import Subscription
from sidekick.accounts.models import User
from tests.billing.pages.reading import facts, page, rows, words
from tests.billing.store import Store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def test_an_active_plan_shows_price_and_renewal(browser: Client, pro: str) -> None:  # B1
    html = page(browser)
    assert "Plan Pro Active $39 a month" in words(html)
    assert facts(html) == {
        "Renews on": "3 Jun 2026",
        "Monthly credits": "1,000",
        "Unused credits": "Roll over",
        "Additional credits": "Can be bought",
    }
    for button in ("Change plan", "Update card", "Billing portal", "Cancel Subscription", "Purchase Credits"):
        assert button in html
    assert 'class="notice notice-' not in html


def test_days_are_those_of_the_account_s_zone(browser: Client, alice: User, store: Store) -> None:
    User.objects.filter(id=alice.id).update(time_zone="Pacific/Kiritimati")
    store.subscribe(User.objects.get(id=alice.id))
    html = page(browser)
    assert facts(html)["Renews on"] == "4 Jun 2026"
    assert rows(html)[0]["Date"] == "4 May 2026"


@pytest.mark.parametrize(
    ("status", "badge", "shown"),
    [("trialing", "badge-good", "Trialing"), ("active", "badge-good", "Active"), ("past_due", "badge-bad", "Past due"),
     ("paused", "badge-warn", "Paused"), ("canceled", "badge", "Canceled"), ("under_review", "badge", "Under review")],
)  # fmt: skip
def test_every_status_has_its_word(browser: Client, pro: str, status: str, badge: str, shown: str) -> None:  # B1
    Subscription.objects.filter(id=pro).update(status=status)
    assert f'<span class="badge{f" {badge}" if badge != "badge" else ""}">{shown}</span>' in page(browser)


def test_a_trial_says_when_it_ends_and_what_follows(browser: Client, pro: str) -> None:  # B1
    Subscription.objects.filter(id=pro).update(status="trialing")
    html = page(browser)
    assert "Plan Pro Trialing $0 then $39 a month" in words(html)
    assert facts(html)["Trial ends on"] == "3 Jun 2026"
