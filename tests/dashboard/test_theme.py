from __future__ import annotations

import json

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


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
    assert client.post("/theme", {"theme": "dark", "next": word}).headers["Location"] == word


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
