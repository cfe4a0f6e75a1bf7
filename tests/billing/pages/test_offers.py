"""Offers on the pricing page, for each visitor (B6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from billing.models import PlanPrice
from credits.models import Plan
from sidekick.accounts.models import User
from tests.billing import store as stores
from tests.billing.store import Store, price

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with stores.opened(settings) as opened:
        yield opened


SIGN_UP = "/accounts/signup/?next="


def plans(client: Client, path: str = "/pricing") -> dict[str, str]:
    """Returns the markup of each plan by its name."""
    html = client.get(path).content.decode()
    found = re.findall(r'<section class="plan[^"]*">(.*?)</section>', html, re.S)
    names = [re.findall(r"<h[23]>(\w+)", section)[0] for section in found]
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("path", ["/", "/pricing"])
def test_a_visitor_signs_up_for_a_plan(client: Client, store: Store, path: str) -> None:  # N6 B6
    offered = plans(client, path)
    assert 'href="/accounts/signup/"' in offered["Free"]
    for name in ("Starter", "Pro"):
        on = f"/dashboard/billing/checkout/{price(name.lower()).pk}"
        assert f'href="/accounts/signup/?next={on}"' in offered[name]
        assert "<form" not in offered[name]
        assert f'<input type="hidden" name="next" value="{on}">' in client.get(SIGN_UP + on).content.decode()


def test_a_free_account_can_buy_either_plan(browser: Client, store: Store) -> None:  # B6
    offered = plans(browser)
    assert "Your plan" in offered["Free"]
    for name in ("Starter", "Pro"):
        assert f'action="/dashboard/billing/subscribe/{price(name.lower()).pk}"' in offered[name]
        assert "csrfmiddlewaretoken" in offered[name]
        assert re.search(r'name="token" value="[0-9a-f-]{36}"', offered[name])
    assert "subscribe" not in offered["Free"]


def test_a_subscriber_changes_instead_of_buying_again(browser: Client, store: Store, alice: User) -> None:  # B6
    store.subscribe(alice, "starter")
    offered = plans(browser)
    assert "Your plan" in offered["Starter"]
    assert f'href="/dashboard/billing/plan/{price("pro").pk}"' in offered["Pro"]
    assert 'href="/dashboard/billing/cancel"' in offered["Free"]
    assert "<form" not in "".join(offered.values())


def test_a_price_a_year_shows_where_there_is_one(browser: Client, client: Client, store: Store) -> None:  # B6
    assert "a year" not in plans(browser)["Pro"]
    yearly = PlanPrice.objects.create(plan_id="pro", interval="year", amount=39_000, paddle_price_id="pri_year")
    offered = plans(browser)
    assert "or $390 a year" in offered["Pro"]
    assert f"/dashboard/billing/subscribe/{yearly.pk}" in offered["Pro"]
    assert "a year" not in offered["Starter"]
    assert "or $390 a year" in plans(Client())["Pro"]


def test_the_marked_plan_is_chosen_apart_from_what_may_buy_credits(client: Client) -> None:  # B6
    Plan.objects.filter(slug="starter").update(may_buy_credits=True)
    html = client.get("/pricing").content.decode()
    marked = re.findall(r'<section class="plan plan-marked">\s*<h\d>(\w+)', html)
    assert marked == ["Pro"]


def test_what_the_page_costs(
    client: Client, alice: User, sign_in: SignIn, store: Store, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(3):
        client.get("/pricing")
    store.subscribe(alice, "pro")
    sign_in(client, alice)
    client.get("/pricing")
    with django_assert_num_queries(PRICING_QUERIES):
        client.get("/pricing")


PRICING_QUERIES = 7
