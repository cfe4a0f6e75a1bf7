"""A customer reports a bug, an operator answers, and the customer reads it. Every page is looked at, too."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from playwright.sync_api import FilePayload, Page, expect

from feedback import triage
from feedback.models import Report, ReportImage
from sidekick.accounts.models import Letter, User
from tests.browser.conftest import TUESDAY, NewPage
from tests.browser.test_looks import look
from tests.conftest import make_user
from tests.feedback import pictures
from tests.feedback.reports import BUG, FEATURE, REPORTS, made

IMAGES = "Images (optional)"


def file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


@pytest.fixture
def alice(clock: time_machine.Traveller, transactional_db: None) -> User:
    return make_user("alice@example.com", time_zone="Europe/Berlin")


@pytest.fixture
def olga(clock: time_machine.Traveller, transactional_db: None) -> User:
    return make_user("olga@example.com", is_staff=True, is_superuser=True)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_bug_is_reported_answered_and_followed(
    scripts: bool, new_page: NewPage, alice: User, olga: User
) -> None:  # F1–F6 N4
    page = new_page(alice, java_script_enabled=scripts)
    page.goto("/dashboard/credits")
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Feedback").click()
    expect(page.get_by_role("heading", name="Report a bug")).to_be_visible()
    expect(page.locator(".included")).to_contain_text("/dashboard/credits")
    page.get_by_label("Title").fill("The chart is empty")
    page.get_by_label("Description").fill("I opened Credits.\nThe chart had no bars.")
    page.locator(".segment", has_text="High").click()
    page.get_by_label(IMAGES).set_input_files([file("a.png", pictures.png()), file("b.jpg", pictures.photo())])
    page.get_by_role("button", name="Submit Bug Report").click()

    expect(page).to_have_url(re.compile(rf"{REPORTS}/[0-9a-f-]+/sent$"))
    expect(page.get_by_role("heading", name="Thank you, we have your bug report")).to_be_visible()
    report = Report.objects.get()
    expect(page.locator(".reference")).to_have_text(report.reference)
    page.get_by_role("link", name="See your report").click()
    expect(page.locator(".thumb img")).to_have_count(2)
    decoded = "image => image.decode().then(() => image.naturalWidth)"
    shown = [page.locator(".thumb img").nth(n).evaluate(decoded) for n in range(2 * scripts)]
    assert shown == [64] * (2 * scripts)
    page.get_by_role("link", name="My reports").click()
    row = page.get_by_role("row", name="The chart is empty")
    expect(row).to_contain_text(report.reference)
    expect(row).to_contain_text("New")

    answers(new_page(olga, java_script_enabled=scripts), report)

    page.reload()
    expect(row).to_contain_text("Planned")
    expect(row).to_contain_text("reply")
    row.get_by_role("link").click()
    expect(page.locator(".reply")).to_contain_text("We can see it too.")
    expect(page.locator(".report-changes")).to_contain_text("Planned, with a reply")
    assert Letter.objects.filter(to=alice.email, subject=f"{report.reference}: planned").exists()


def answers(page: Page, report: Report) -> None:
    """The operator finds the report by its reference and answers it."""
    page.goto("/admin/feedback/report/")
    page.locator("#searchbar").fill(report.reference)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=report.reference).click()
    expect(page.locator(".field-pictures img")).to_have_count(2)
    page.get_by_label("Status").select_option("planned")
    page.get_by_label("Reply").fill("We can see it too.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".form-row.field-reason")).to_contain_text("This field is required")
    page.get_by_label("Reason").fill("Seen by three customers")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("changed successfully")


@pytest.fixture
def form(new_page: NewPage, alice: User) -> Page:
    page = new_page(alice)
    page.goto(BUG)
    return page


def test_an_error_takes_the_focus_and_loses_neither_words_nor_images(form: Page) -> None:  # F3 F5 N8
    form.get_by_label("Description").fill("No title yet")
    form.locator(".segment", has_text="Low").click()
    form.get_by_label(IMAGES).set_input_files([file("a.png", pictures.png()), file("b.png", pictures.png()[:90])])
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.get_by_role("alert")).to_be_focused()
    expect(form.get_by_role("alert")).to_contain_text("b.png is damaged and can’t be opened.")
    assert form.url.endswith(BUG)
    expect(form.get_by_label("Description")).to_have_value("No title yet")
    expect(form.get_by_role("radio", name="Low")).to_be_checked()
    expect(form.get_by_role("checkbox", name="a.png")).to_be_checked()
    form.get_by_role("link", name="Title: Write a title").click()
    expect(form.get_by_label("Title")).to_be_focused()
    form.keyboard.type("Now it has one")
    form.keyboard.press("Enter")
    expect(form.locator(".reference")).to_be_visible()
    assert Report.objects.get().images.get().name == "a.png"


def test_without_scripts_the_server_says_so(
    new_page: NewPage, alice: User, expected_faults: list[str]
) -> None:  # F3 F5
    expected_faults += ["status of 422"]
    page = new_page(alice, java_script_enabled=False)
    page.goto(BUG)
    page.get_by_label("Title").fill("Kept")
    shots = [file(f"{n}.png", pictures.png(60 + n)) for n in range(4)]
    files = [file("six.png", pictures.large(6 * 1024 * 1024)), file("IMG_1.HEIC", pictures.heic()), *shots]
    page.get_by_label(IMAGES).set_input_files(files)
    page.get_by_role("button", name="Submit Bug Report").click()
    expect(page.locator("#report_images_error")).to_contain_text("six.png is larger than 5 MB.")
    expect(page.locator("#report_images_error")).to_contain_text("IMG_1.HEIC is a HEIC photo")
    expect(page.locator("#report_images_error")).to_contain_text("3.png was left out: 3 images are the most.")
    expect(page.get_by_label("Title")).to_have_value("Kept")
    # A server that has read past a large file answers the next request of the same connection.
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Credits").click()
    expect(page.get_by_role("heading", name="Credits", level=1)).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_double_click_back_and_a_second_tab_are_one_report(
    scripts: bool, new_page: NewPage, alice: User
) -> None:  # F3
    page = new_page(alice, java_script_enabled=scripts)
    second = page.context.new_page()
    for tab in (page, second):
        tab.goto(FEATURE)
        tab.get_by_label("Title").fill("Dark charts")
        tab.get_by_label("Description").fill("My eyes.")
    page.get_by_role("button", name="Submit Feature Request").dblclick()
    expect(page.locator(".reference")).to_be_visible()
    reference = page.locator(".reference").inner_text()
    page.go_back()
    page.get_by_label("Title").fill("Dark charts")
    page.get_by_label("Description").fill("My eyes.")
    page.get_by_role("button", name="Submit Feature Request").click()
    second.get_by_role("button", name="Submit Feature Request").click()
    for tab in (page, second):
        expect(tab.locator(".reference")).to_have_text(reference)
    assert Report.objects.count() == 1


def test_the_eleventh_is_told_when_and_keeps_its_words(form: Page, alice: User) -> None:  # F3
    for _ in range(10):
        made(alice)
    form.get_by_label("Title").fill("One more")
    form.get_by_label("Description").fill("Typed with care")
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.get_by_role("alert")).to_contain_text(re.compile(r"You can send this one in \d+ minutes, at 11:1\d"))
    expect(form.get_by_label("Description")).to_have_value("Typed with care")


def test_characters_are_counted_as_they_are_typed(form: Page) -> None:  # F3
    form.get_by_label("Title").fill("x" * 121)
    counted = form.locator("[data-count-of=report_title]")
    expect(counted).to_have_text("121 of 120")
    expect(counted).to_have_class(re.compile("over"))


def test_an_image_opens_as_an_image_and_nothing_else(
    new_page: NewPage, alice: User, expected_faults: list[str]
) -> None:  # F5
    # Chromium's own viewer would style the page it makes of an image.
    expected_faults += ["Applying inline style violates", "status of 404"]
    image = made(alice, pictured=1).images.get()
    page = new_page(alice)
    response = page.goto(image.get_absolute_url())
    assert response
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"
    # A signed-out browser shows nothing of the pages that it kept.
    page.context.clear_cookies()
    again = page.goto(image.get_absolute_url())
    assert again
    assert again.status == 404


def test_looks(
    new_page: NewPage, alice: User, olga: User, expected_faults: list[str], screenshot: Callable[[Page, str], None]
) -> None:  # N8
    expected_faults += ["status of 422", "status of 404"]
    nora = make_user("nora@example.com")
    answered = _reports(alice, olga)
    page, found = new_page(alice), []
    acts: dict[str, Callable[[Page], Any]] = {"refused": _refuse}
    for name, path in {
        "bug": BUG,
        "feature": FEATURE,
        "refused": BUG,
        "reports": REPORTS,
        "second page": f"{REPORTS}?page=2",
        "no such page": f"{REPORTS}?page=9",
        "report": answered.get_absolute_url(),
        "sent": f"{answered.get_absolute_url()}/sent",
    }.items():
        found += look(page, path, f"feedback {name}", screenshot, act=acts.get(name))
    found += look(new_page(nora), REPORTS, "feedback without reports", screenshot)
    assert not found, "\n".join(found)


def _refuse(page: Page) -> None:
    ReportImage.objects.filter(report=None).delete()
    page.get_by_label("Description").fill("x" * 5001)
    page.get_by_label(IMAGES).set_input_files(
        [file("a" * 80 + ".png", pictures.png(900, 300)), file("b.png", pictures.png()[:90])]
    )
    page.get_by_role("button", name="Submit Bug Report").click()
    expect(page.get_by_role("alert")).to_be_visible()


def _reports(alice: User, olga: User) -> Report:
    """Two pages of them, in every state, one with words as long as they can get."""
    for n, status in enumerate(list(Report.Status) * 4):
        sent_at = TUESDAY - timedelta(days=40 - n)
        report = made(alice, kind="bug" if n % 2 else "feature", title=f"Report number {n}", now=sent_at)
        reply = "Thank you." if n % 3 else None
        triage.answer(report.pk, status=status, reply=reply, by=olga, reason="Triage", now=sent_at + timedelta(hours=3))
    answered = made(
        alice,
        pictured=3,
        title="W" * 60 + " and " + "m" * 55,
        description="A-word-without-a-space-" * 40 + "\n\nAnd lines.\n" * 5,
        page="/dashboard/credits/models",
        browser="Mozilla/5.0 " + "x" * 280,
    )
    for step in ("triaged", "in_progress", "done"):
        said = {"reply": f"{step}: " + "https://sidekick.example/" + "y" * 150}
        triage.answer(answered.pk, status=step, **said, by=olga, reason="Triage", now=timezone.now())
    return answered
