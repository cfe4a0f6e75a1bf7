"""Home, pricing, the way into the dashboard, and the theme."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django import Settings

from credits.models import AIModel, ModelPrice
from sidekick.accounts.models import User

pytestmark = pytest.mark.django_db


def test_home_shows_every_plan_and_the_way_in(client: Client) -> None:  # N6
    page = client.get("/").content.decode()
    for words in ("Free", "$0", "Starter", "$15", "Pro", "$39", "1,000", 'href="/accounts/signup/"'):
        assert words in page


def test_pricing_tells_what_an_additional_credit_costs(client: Client) -> None:  # N6
    page = client.get("/pricing").content.decode()
    assert "<title>Pricing · Sidekick</title>" in page
    assert "Top up when your plan’s credits run out, for $0.10 each" in page


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


@pytest.mark.parametrize("page", ["terms", "privacy", "support"])
def test_the_owners_pages_are_placeholders_until_their_addresses_are_set(
    client: Client, settings: Settings, page: str
) -> None:  # N6
    link = f'href="/about/{page}"'
    for path in ("/", "/pricing", "/accounts/login/"):
        assert link in client.get(path).content.decode()
    words = client.get(f"/about/{page}").content.decode()
    assert "placeholder" in words
    assert f"{page.upper()}_URL" in words
    setattr(settings, f"{page.upper()}_URL", f"https://sidekick.example/{page}")
    assert f'href="https://sidekick.example/{page}"' in client.get("/").content.decode()
    assert client.get(f"/about/{page}").headers["Location"] == f"https://sidekick.example/{page}"


def test_there_are_no_other_placeholders(client: Client) -> None:  # N7
    assert client.get("/about/secret-key").status_code == 404


def test_pricing_says_what_a_credit_buys_on_each_model(client: Client) -> None:  # N6
    page = client.get("/pricing").content.decode()
    assert "1,000 tokens in and 300 out" in page
    assert '<td class="num" data-label="Input tokens">50,000</td>' in page


def test_pricing_calls_a_model_of_no_price_free(client: Client) -> None:  # N6
    free = AIModel.objects.create(name="free-model")
    ModelPrice.objects.create(
        model=free, valid_from=datetime(2026, 1, 1, tzinfo=UTC), input=0, output=0, cache_read=0, cache_write=0
    )
    page = client.get("/pricing").content.decode()
    row = page[page.index("free-model") : page.index("</tr>", page.index("free-model"))]
    assert re.findall(r">(\w+)</td>", row) == ["free"] * 3


# The theme


@pytest.mark.parametrize("theme", ["light", "dark", "system"])
def test_the_chosen_theme_is_in_the_very_first_byte_of_the_next_page(client: Client, theme: str) -> None:  # N5
    response = client.post("/theme", {"theme": theme, "next": "/pricing"})
    assert response.headers["Location"] == "/pricing"
    html = client.get("/pricing").content.decode()
    assert html.startswith(f'<!doctype html>\n<html lang="en" data-theme="{theme}">')


def test_until_chosen_the_theme_follows_the_system(client: Client) -> None:  # N5
    assert 'data-theme="system"' in client.get("/").content.decode()
    client.cookies["theme"] = '"><script>'
    assert 'data-theme="system"' in client.get("/").content.decode()


def test_a_script_hears_the_choice_and_stays_where_it_is(client: Client) -> None:  # N5
    response = client.post("/theme", {"theme": "dark"}, headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert json.loads(response.headers["HX-Trigger"]) == {"sidekick:theme": {"value": "dark"}}
    assert response.cookies["theme"].value == "dark"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_the_way_back_stays_on_this_site(client: Client, elsewhere: str) -> None:
    assert client.post("/theme", {"theme": "dark", "next": elsewhere}).headers["Location"] == "/"


@pytest.mark.parametrize("word", ["nowhere", "account_login"])
def test_the_way_back_is_an_address_and_no_name_of_a_view(client: Client, word: str) -> None:
    assert client.post("/theme", {"theme": "dark", "next": word}).headers["Location"] == "/"


def test_an_unknown_theme_is_refused(client: Client) -> None:
    response = client.post("/theme", {"theme": "pink"})
    assert response.status_code == 400
    assert "theme" not in response.cookies


def test_choosing_a_theme_needs_a_form_of_ours() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/theme", {"theme": "dark"})
    assert response.status_code == 403
    assert "This page is too old" in response.content.decode()
    assert client.get("/theme").status_code == 405
