from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django_htmx.middleware import HtmxDetails

from sidekick.web.rendering import is_fragment, region_of, render_page

TEMPLATES = {
    "page.html": "page with {% include '_list.html' %}",
    "_list.html": "list of {% include '_rows.html' %}",
    "_rows.html": "rows of {{ moment|date:'j M Y' }}",
}
SWAP = {"HX-Request": "true"}
ROWS = {**SWAP, "HX-Target": "rows"}
BOOSTED = {**SWAP, "HX-Boosted": "true"}
RESTORED = {**SWAP, "HX-History-Restore-Request": "true"}


@pytest.fixture(autouse=True)
def _templates() -> Iterator[None]:
    backend = {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)]},
    }
    with override_settings(TEMPLATES=[backend]):
        yield


def asked(method: str = "GET", headers: dict[str, str] | None = None, *, zone: str = "") -> HttpRequest:
    request: Any = RequestFactory().generic(method, "/", headers=headers)
    request.htmx = HtmxDetails(request)
    request.user = AnonymousUser()
    if zone:
        request.user.zone = ZoneInfo(zone)
    return cast("HttpRequest", request)


def rendered(request: HttpRequest, **options: Any) -> HttpResponse:
    context = {"moment": datetime(2026, 5, 3, 23, 30, tzinfo=UTC)}
    defaults: dict[str, Any] = {"fragment": "_list.html", "regions": {"rows": "_rows.html"}}
    return render_page(request, "page.html", context, **(defaults | options))


@pytest.mark.parametrize("headers", [{}, BOOSTED, RESTORED])
def test_a_page_load_gets_the_page(headers: dict[str, str]) -> None:
    assert rendered(asked(headers=headers)).content == b"page with list of rows of 3 May 2026"


@pytest.mark.parametrize("headers", [SWAP, {**SWAP, "HX-Target": "another"}])
def test_a_swap_gets_the_fragment(headers: dict[str, str]) -> None:
    assert rendered(asked(headers=headers)).content == b"list of rows of 3 May 2026"


def test_a_swap_of_a_region_gets_the_region() -> None:
    assert rendered(asked(headers=ROWS)).content == b"rows of 3 May 2026"


def test_a_boosted_link_that_names_a_region_gets_the_page() -> None:
    assert rendered(asked(headers=ROWS | BOOSTED)).content.startswith(b"page")


@pytest.mark.parametrize("status", [409, 422, 429, 503])
def test_a_refusal_has_its_status_on_a_page_load_and_200_in_a_swap(status: int) -> None:
    assert rendered(asked("POST"), status=status).status_code == status
    assert rendered(asked("POST", BOOSTED), status=status).status_code == status
    assert rendered(asked("POST", SWAP), status=status).status_code == 200
    assert rendered(asked("POST", ROWS), status=status).status_code == 200


@pytest.mark.parametrize("headers", [{}, SWAP])
def test_retry_after_goes_with_the_page_and_with_a_swap(headers: dict[str, str]) -> None:
    assert rendered(asked(headers=headers), status=503, retry_after=7)["Retry-After"] == "7"
    assert "Retry-After" not in rendered(asked(headers=headers), status=503)


def test_a_refused_post_leaves_the_address_of_the_page_as_it_was() -> None:
    assert rendered(asked("POST", SWAP), status=422)["HX-Push-Url"] == "false"
    assert "HX-Push-Url" not in rendered(asked("GET", SWAP))
    assert "HX-Push-Url" not in rendered(asked("POST"), status=422)


def test_caches_keep_the_page_and_its_fragment_apart() -> None:
    assert rendered(asked())["Vary"] == "HX-Request, HX-Boosted, HX-History-Restore-Request"


def test_a_page_without_a_fragment_is_always_whole_and_has_its_status() -> None:
    response = rendered(asked("POST", ROWS), fragment=None, status=422)
    assert response.content.startswith(b"page")
    assert response.status_code == 422
    assert "Vary" not in response
    assert "HX-Push-Url" not in response


def test_dates_are_in_the_time_zone_of_the_account() -> None:
    assert rendered(asked(zone="Asia/Tokyo")).content.endswith(b"4 May 2026")


def test_a_region_is_the_target_of_a_swap() -> None:
    assert region_of(asked(headers=ROWS)) == "rows"
    assert region_of(asked(headers=SWAP)) == ""
    assert region_of(asked(headers=ROWS | BOOSTED)) == ""


def test_a_request_that_failed_before_the_middleware_is_known_as_a_swap() -> None:
    request = RequestFactory().get("/", headers=SWAP)
    assert is_fragment(request)
    assert not is_fragment(RequestFactory().get("/"))
