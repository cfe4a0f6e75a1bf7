from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import Settings

from sidekick.accounts.models import User

pytestmark = pytest.mark.django_db


def test_home_shows_every_plan_and_the_way_in(client: Client) -> None:  # N6
    page = client.get("/").content.decode()
    for words in ("Free", "$0", "Starter", "$15", "Pro", "$39", "1,000", 'href="/accounts/signup/"'):
        assert words in page


def test_pricing_tells_what_an_additional_credit_costs(client: Client) -> None:  # N6
    page = client.get("/pricing").content.decode()
    assert "<title>Pricing · Sidekick</title>" in page
    assert "Buy more credits for $0.10 each" in page


@pytest.mark.parametrize("path", ["/", "/pricing"])
def test_a_signed_in_visitor_is_shown_the_way_to_the_dashboard(
    client: Client, alice: User, sign_in: Callable[[Client, User], None], path: str
) -> None:
    sign_in(client, alice)
    page = client.get(path).content.decode()
    assert 'href="/dashboard"' in page
    assert "/accounts/signup/" not in page


def test_logo_and_pricing_can_point_at_other_sites(client: Client, settings: Settings) -> None:  # N6
    settings.HOME_URL, settings.PRICING_URL = "https://sidekick.example", "https://sidekick.example/plans"
    assert client.get("/").headers["Location"] == "https://sidekick.example"
    assert client.get("/pricing").headers["Location"] == "https://sidekick.example/plans"
    sign_in_page = client.get("/accounts/login/").content.decode()
    assert 'class="logo" href="https://sidekick.example"' in sign_in_page


def test_dashboard_opens_credits(client: Client) -> None:  # N2
    assert client.get("/dashboard").headers["Location"] == "/dashboard/credits"
