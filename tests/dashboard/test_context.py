from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.context import context, tabs
from sidekick.accounts.models import User

pytestmark = pytest.mark.django_db

SECTIONS = {"Credits": "/dashboard/credits", "Feedback": "/dashboard/feedback", "Billing": "/dashboard/billing"}
SWAP = {"HX-Request": "true", "HX-Target": "main"}


def marked_tabs(html: str) -> list[str]:
    bar = re.search(r'<ul id="tabs".*?</ul>', html, re.DOTALL)
    assert bar
    links = re.findall(r'<a href="([^"]+)"[^>]*aria-current="page"', bar[0])
    return [name for name, url in SECTIONS.items() if url in links]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_tab_is_a_page_of_its_own(browser: Client, section: str) -> None:  # N2 N3
    html = browser.get(SECTIONS[section]).content.decode()
    assert html.startswith("<!doctype html>")
    assert f"<title>{section} · Sidekick</title>" in html
    assert '<h1 tabindex="-1"' in html
    assert marked_tabs(html) == [section]


@pytest.mark.parametrize("section", SECTIONS)
def test_switching_tabs_swaps_only_content_title_and_tabs(browser: Client, section: str) -> None:  # N4
    response = browser.get(SECTIONS[section], headers=SWAP)
    html = response.content.decode()
    assert "<html" not in html
    assert f"<title>{section} · Sidekick</title>" in html
    assert 'id="tabs" class="tabs" hx-swap-oob="true"' in html
    assert marked_tabs(html) == [section]
    assert "HX-Request" in response.headers["Vary"]


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_htmx_gets_the_whole_page_where_it_replaces_the_page(browser: Client, header: str) -> None:  # N4
    html = browser.get("/dashboard/billing", headers={"HX-Request": "true", header: "true"}).content.decode()
    assert html.startswith("<!doctype html>")
    assert "hx-swap-oob" not in html


@pytest.mark.parametrize("path", SECTIONS.values())
def test_anonymous_visitor_signs_in_first_and_comes_back(client: Client, path: str) -> None:  # N1
    page = client.get(path)
    assert page.status_code == 302
    assert page.headers["Location"] == f"/accounts/login/?next={path.replace('/', '%2F')}"
    swap = client.get(path, headers=SWAP)
    assert swap.headers["HX-Redirect"].startswith("/accounts/login/?next=")


def test_bar_holds_logo_theme_and_a_menu_with_email_and_logout(browser: Client, alice: User) -> None:  # N3
    html = browser.get("/dashboard/billing").content.decode()
    assert 'class="logo" href="/"' in html
    assert 'action="/theme"' in html
    assert alice.email in html
    assert '<form method="post" action="/accounts/logout" ' in html


def test_a_page_below_a_section_marks_its_tab() -> None:
    assert [tab.label for tab in tabs("/dashboard/credits/models") if tab.active] == ["Credits"]
    assert not [tab for tab in tabs("/dashboard/creditsandmore") if tab.active]


def test_the_shell_asks_the_database_nothing(
    rf: RequestFactory, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        variables = context(rf.get("/dashboard/feedback"))
    assert [tab.label for tab in variables["tabs"] if tab.active] == ["Feedback"]


@pytest.mark.parametrize(
    "path",
    ["/", "/pricing", "/nope", "/dev/mail", "/accounts/login/", "/accounts/signup/", "/accounts/login/code/",
     "/accounts/password/reset/", *SECTIONS.values()],
)  # fmt: skip
def test_no_page_carries_inline_script_or_style(
    client: Client, alice: User, sign_in: Callable[[Client, User], None], path: str
) -> None:
    if path in SECTIONS.values():
        sign_in(client, alice)
    response = client.get(path)
    html = response.content.decode()
    assert html.startswith("<!doctype html>")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:", html)
    for tag in re.findall(r"<script[^>]*>", html):
        assert "src=" in tag or 'type="application/json"' in tag
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_icons_are_drawn_not_spelt_out(client: Client) -> None:
    page = client.get("/pricing").content.decode()
    assert '<svg class="icon"' in page
    assert "&lt;svg" not in page


def test_a_time_in_a_template_is_the_page_s_own_and_shows_the_offset_of_an_hour_that_comes_twice() -> None:  # A10
    template = Template("{{ moment|clock }}")
    with timezone.override(ZoneInfo("Europe/Berlin")):
        shown = [
            template.render(Context({"moment": datetime(2026, 10, 25, hour, 30, 59, tzinfo=UTC)})) for hour in (0, 1, 2)
        ]
    assert shown == ["02:30 +02:00", "02:30 +01:00", "03:30"]
    assert template.render(Context({})) == ""
