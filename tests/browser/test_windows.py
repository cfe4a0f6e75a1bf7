"""Windows of odd sizes, large text, forced colours and paper."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from billing.models import PlanPrice
from sidekick.accounts.models import User
from tests.browser import customers
from tests.browser.conftest import TUESDAY, NewPage, Shop
from tests.browser.test_looks import PUBLIC, see
from tests.feedback import reports

PAGES = {
    "credits": "/dashboard/credits",
    "models": "/dashboard/credits/models",
    "history": "/dashboard/credits/history",
    "billing": "/dashboard/billing",
    "report a bug": "/dashboard/feedback",
    "my reports": "/dashboard/feedback/reports",
    "account": "/dashboard/account",
    "security": "/dashboard/account/security",
}
TWICE = """addEventListener("DOMContentLoaded", () => { document.documentElement.style.fontSize = "200%"; })"""
CONTENT = "box => box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft)"
PRINTED = ["credits", "models", "history", "billing"]


@pytest.fixture
def ordinary(clock: time_machine.Traveller) -> User:
    return customers.ordinary(TUESDAY)


def faults(page: Page, check: str, paths: dict[str, str]) -> Iterator[str]:
    for name, path in paths.items():
        page.goto(path)
        yield from (f"{name}: {fault}" for fault in see(page, check))


@pytest.mark.parametrize(("width", "height"), [(320, 225), (640, 450), (360, 640), (390, 664)])
def test_nothing_covers_the_control_in_focus(new_page: NewPage, ordinary: User, width: int, height: int) -> None:  # N8
    page = new_page(ordinary)
    page.set_viewport_size({"width": width, "height": height})
    found = list(faults(page, "coveredFocus", PAGES))
    assert not found, "\n".join(found)


def test_no_page_scrolls_sideways_at_320(new_page: NewPage, ordinary: User, expected_faults: list[str]) -> None:  # N8
    expected_faults += ["status of 404"]
    found: list[str] = []
    for page, paths in ((new_page(width=320), PUBLIC), (new_page(ordinary, width=320), PAGES)):
        found += faults(page, "overflows", paths)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("width", [1280, 768])
def test_text_of_twice_the_size_keeps_numbers_whole(new_page: NewPage, ordinary: User, width: int) -> None:  # N8
    page = new_page(ordinary, width=width)
    page.add_init_script(TWICE)
    found = [*faults(page, "brokenFigures", PAGES), *faults(page, "overflows", PAGES)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("width", [640, 744, 768, 820, 1000])
def test_tables_show_all_their_columns_on_a_tablet(new_page: NewPage, ordinary: User, width: int) -> None:  # C3 C4 N8
    page = new_page(ordinary, width=width)
    for path in ("/dashboard/credits", "/dashboard/credits/models", "/dashboard/credits/history"):
        page.goto(path)
        assert page.locator("#usage > .table-wrap").evaluate("box => box.scrollWidth - box.clientWidth") <= 1, path


def test_forced_colours_show_slider_arrows_and_chart(new_page: NewPage, shop: Shop) -> None:  # N8
    user, _ = customers.buyer("pro", shop)
    page = new_page(user)
    page.emulate_media(forced_colors="active", color_scheme="dark")
    page.goto("/dashboard/billing")
    # The track is drawn although backgrounds are taken away: above, on and below it are two colours at least.
    assert len(colours_across(page.locator("[data-slider-range]"), 0.1)) > 1
    assert len(colours_across(page.locator("[data-slider-range]"), 0.9)) > 1


def test_forced_colours_keep_the_arrow_of_a_select_and_the_words_of_the_chart(
    new_page: NewPage, ordinary: User
) -> None:  # N8
    page = new_page(ordinary)
    page.emulate_media(forced_colors="active", color_scheme="dark")
    page.goto("/dashboard/credits")
    expect(page.locator("#filters select").first).to_have_css("appearance", "auto")
    text = page.locator(".chart-plot text").first
    assert text.evaluate("text => getComputedStyle(text).fill") == page.locator("h1").evaluate(
        "heading => getComputedStyle(heading).color"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_print_dark_on_light_without_what_can_be_pressed(
    new_page: NewPage, ordinary: User, live_server: LiveServer, theme: str
) -> None:  # N8
    page = new_page(ordinary, width=718)
    page.emulate_media(media="print", color_scheme=theme)  # type: ignore[arg-type]
    page.context.add_cookies([{"name": "theme", "value": theme, "url": live_server.url}])
    for name in PRINTED:
        page.goto(PAGES[name])
        for unwanted in ("nav a", "button", ".filters", ".toasts", ".footer"):
            expect(page.locator(unwanted).locator("visible=true")).to_have_count(0)
        expect(page.get_by_text(f"Sidekick · {ordinary.email}")).to_be_visible()
        assert lightness(page, page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9, name
        assert lightness(page, page.evaluate("getComputedStyle(document.querySelector('h1')).color")) < 0.4, name
        assert not see(page, "overflows")
    page.goto(PAGES["credits"])
    expect(page.locator("#usage > .table-wrap thead")).to_have_css("display", "table-header-group")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_report_with_a_long_title_keeps_its_icon(new_page: NewPage, ordinary: User) -> None:  # F4 N8
    reports.made(ordinary, title="Internationalisation " * 5)
    page = new_page(ordinary, width=360)
    page.goto(PAGES["my reports"])
    box = page.locator(".kind svg").bounding_box()
    assert box
    assert box["width"] >= 14


def test_decisions_fill_the_panel_of_a_phone(new_page: NewPage, shop: Shop) -> None:  # B2 B6 N8
    user, _ = customers.buyer("pro", shop)
    page = new_page(user, width=360)
    starter = PlanPrice.objects.for_sale().get(plan="starter", interval="month")
    for path in ("cancel", f"plan/{starter.pk}"):
        page.goto(f"/dashboard/billing/{path}")
        widths = {round(box["width"]) for box in boxes(page.locator(".panel-footer .button"))}
        assert widths == {round(page.locator(".panel-footer").evaluate(CONTENT))}, path
    page.goto("/dashboard/billing/plan")
    [back], [heading] = boxes(page.locator(".page-header .button-ghost .icon")), boxes(page.locator("h1"))
    assert abs(back["x"] - heading["x"]) < 6


def test_a_change_that_paddle_can_not_preview_says_how_things_stand(
    new_page: NewPage, shop: Shop, expected_faults: list[str]
) -> None:  # B6
    expected_faults += ["status of 503"]
    user, _ = customers.buyer("pro", shop)
    starter = PlanPrice.objects.for_sale().get(plan="starter", interval="month")
    shop.world.faults.add("error", path="/subscriptions", times=100)
    page = new_page(user, width=360)
    page.goto(f"/dashboard/billing/plan/{starter.pk}")
    expect(page.get_by_text("Nothing has changed: your plan is Pro.")).to_be_visible()
    expect(page.get_by_role("link", name="Try again")).to_be_visible()


def boxes(found: Locator) -> list[FloatRect]:
    return [box for each in found.all() if (box := each.bounding_box())]


def colours_across(element: Locator, along: float) -> set[Any]:
    """The colours of the painted element from top to bottom, at a part of its width."""
    picture = Image.open(io.BytesIO(element.screenshot()))
    return {picture.getpixel((int(picture.width * along), y)) for y in range(picture.height)}


def lightness(page: Page, colour: str) -> float:
    """The lightness of any CSS colour, from 0 to 1, as it is painted."""
    painted: float = page.evaluate(
        """colour => {
            const canvas = new OffscreenCanvas(1, 1).getContext("2d");
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
            return (red + green + blue) / 765;
        }""",
        colour,
    )
    return painted
