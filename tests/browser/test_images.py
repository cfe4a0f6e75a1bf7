"""Images of a report come together by choosing, pasting and dropping; none is lost without a word."""

from __future__ import annotations

import base64

import pytest
import time_machine
from playwright.sync_api import JSHandle, Locator, Page, expect

from feedback.models import Report
from sidekick.accounts.models import User
from tests.browser.conftest import NewPage
from tests.browser.test_feedback import IMAGES, file
from tests.conftest import make_user
from tests.feedback import pictures
from tests.feedback.reports import BUG

LEFT_OUT = "was left out: 3 images are the most."
TRANSFER = """files => {
  const transfer = new DataTransfer();
  for (const [name, type, content] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
  }
  return transfer;
}"""
COPY = """data => {
  const image = new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], { type: "image/png" });
  return navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
}"""
PASTE = (
    "([target, clipboardData]) => target.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }))"
)
DROP = """([target, dataTransfer]) =>
  target.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }))"""


@pytest.fixture
def alice(clock: time_machine.Traveller, transactional_db: None) -> User:
    return make_user("alice@example.com", time_zone="Europe/Berlin")


@pytest.fixture
def form(new_page: NewPage, alice: User) -> Page:
    page = new_page(alice)
    page.goto(BUG)
    page.get_by_label("Title").fill("The chart is empty")
    page.get_by_label("Description").fill("I opened Credits.")
    return page


def choose(form: Page, *names: str) -> None:
    """Choose files; each name has a picture of its own."""
    form.get_by_label(IMAGES).set_input_files([file(name, picture(name)) for name in names])


def picture(name: str) -> bytes:
    return pictures.png(64 + sum(name.encode()))


def transfer(form: Page, *files: tuple[str, str, bytes]) -> JSHandle:
    return form.evaluate_handle(TRANSFER, [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files])


def chosen(form: Page) -> Locator:
    return form.locator("[data-chosen] .chosen-name")


def beside(form: Page) -> Locator:
    return form.locator("#report_images_error > *")


def send(form: Page, *names: str) -> None:
    """Send the report, whose images then have these names."""
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.locator(".reference")).to_be_visible()
    assert [image.name for image in Report.objects.get().images.order_by("number")] == list(names)


def test_a_second_choice_adds_to_the_first_and_each_can_be_removed(form: Page) -> None:  # F5
    choose(form, "a.png")
    expect(chosen(form)).to_have_text(["a.png"])
    choose(form, "b.png", "c.png")
    expect(chosen(form)).to_have_text(["a.png", "b.png", "c.png"])
    expect(form.locator("[data-images-count]")).to_have_text("3 of 3")
    expect(form.locator("#announcer")).to_have_text("b.png, c.png added. 3 of 3 images.")
    form.get_by_role("button", name="Remove b.png").press("Enter")
    expect(chosen(form)).to_have_text(["a.png", "c.png"])
    expect(form.get_by_role("button", name="Remove c.png")).to_be_focused()
    expect(form.locator("#announcer")).to_have_text("b.png removed. 2 of 3 images.")
    form.keyboard.press("Space")
    form.keyboard.press("Space")
    expect(chosen(form)).to_have_count(0)
    expect(form.get_by_label(IMAGES)).to_be_focused()
    choose(form, "d.png")
    # A choice that is broken off takes nothing away.
    form.get_by_label(IMAGES).set_input_files([])
    expect(chosen(form)).to_have_text(["d.png"])
    send(form, "d.png")


def test_at_the_limit_each_image_that_is_left_out_is_named(form: Page) -> None:  # F5
    choose(form, "a.png", "b.png")
    choose(form, "c.png", "d.png", "e.png")
    expect(chosen(form)).to_have_text(["a.png", "b.png", "c.png"])
    expect(beside(form)).to_have_text([f"d.png {LEFT_OUT}", f"e.png {LEFT_OUT}"])
    expect(form.locator("#announcer")).to_contain_text(f"d.png {LEFT_OUT}")
    form.get_by_role("button", name="Remove a.png").click()
    expect(beside(form)).to_have_count(0)
    send(form, "b.png", "c.png")


def test_the_same_file_twice_is_one(form: Page) -> None:  # F5
    choose(form, "a.png")
    choose(form, "a.png", "b.png")
    expect(chosen(form)).to_have_text(["a.png", "b.png"])
    expect(beside(form)).to_have_text(["a.png is here already."])
    # Another picture may have the same name.
    form.get_by_label(IMAGES).set_input_files([file("a.png", picture("another"))])
    expect(chosen(form)).to_have_text(["a.png", "b.png", "a.png"])
    send(form, "a.png", "b.png", "a.png")


def test_images_are_pasted_and_words_stay_words(form: Page) -> None:  # F5
    form.context.grant_permissions(["clipboard-read", "clipboard-write"])
    form.evaluate(COPY, base64.b64encode(picture("shot")).decode())
    form.get_by_label("Description").press("Control+v")
    expect(chosen(form)).to_have_text(["Pasted image.png"])
    form.keyboard.press("Control+v")
    expect(beside(form)).to_have_text(["Pasted image.png is here already."])
    second = transfer(form, ("image.png", "image/png", picture("second")))
    form.evaluate(PASTE, [form.locator("body").element_handle(), second])
    expect(chosen(form)).to_have_text(["Pasted image.png", "Pasted image 2.png"])
    form.evaluate("navigator.clipboard.writeText(' And words.')")
    form.get_by_label("Description").press("End")
    form.keyboard.press("Control+v")
    expect(form.get_by_label("Description")).to_have_value("I opened Credits. And words.")
    expect(chosen(form)).to_have_count(2)
    # A spreadsheet's cells come as words and as a picture of them.
    cells = transfer(form, ("image.png", "image/png", picture("cells")))
    cells.evaluate("transfer => transfer.setData('text/plain', '1\\t2')")
    form.evaluate(PASTE, [form.locator("body").element_handle(), cells])
    send(form, "Pasted image.png", "Pasted image 2.png")


def test_images_are_dropped_anywhere_on_the_page(form: Page) -> None:  # F5
    dropped = transfer(form, ("a.png", "image/png", picture("a")), ("b.svg", "image/svg+xml", pictures.SVG))
    heading = form.get_by_role("heading", name="Feedback", level=1)
    heading.dispatch_event("dragover", {"dataTransfer": dropped})
    expect(form.locator("[data-images]")).to_have_class("field dropping")
    # A browser opens a file that is dropped where nobody takes it, and the report is gone.
    assert not form.evaluate(DROP, [heading.element_handle(), dropped])
    expect(form.locator("[data-images]")).to_have_class("field")
    expect(chosen(form)).to_have_text(["a.png"])
    expect(beside(form)).to_have_text(["b.svg is not a PNG, JPEG or WebP image."])
    send(form, "a.png")


def test_what_can_t_be_sent_is_told_before_it_is(form: Page) -> None:  # F5
    form.get_by_label(IMAGES).set_input_files(
        [
            file("IMG_1.HEIC", pictures.heic()),
            file("photo", pictures.heic(b"mif1")),
            file("IMG_2.heif", b"cut off"),
            file("six.png", pictures.large(6 * 1024 * 1024)),
            file("IMG_3.HEIC", pictures.photo()),
        ]
    )
    heic = "is a HEIC photo, which we can’t read. Save it as JPEG"
    told = [f"{name} {heic}" for name in ("IMG_1.HEIC", "photo", "IMG_2.heif")]
    expect(beside(form)).to_contain_text([*told, "six.png is larger than 5 MB."])
    expect(beside(form).first).to_contain_text("Settings › Camera › Formats › Most Compatible")
    expect(form.locator("#announcer")).to_contain_text("six.png is larger than 5 MB.")
    expect(chosen(form)).to_have_text(["IMG_3.HEIC"])
    send(form, "IMG_3.HEIC")


def test_images_that_were_kept_count(form: Page) -> None:  # F3 F5
    choose(form, "a.png", "b.png")
    form.get_by_label("Title").fill("")
    form.get_by_role("button", name="Submit Bug Report").click()
    expect(form.get_by_role("checkbox", name="a.png")).to_be_checked()
    expect(form.locator("[data-images-count]")).to_have_text("2 of 3")
    choose(form, "c.png", "d.png")
    expect(beside(form)).to_have_text([f"d.png {LEFT_OUT}"])
    form.get_by_role("checkbox", name="a.png").uncheck()
    expect(form.locator("[data-images-count]")).to_have_text("2 of 3")
    choose(form, "d.png")
    expect(chosen(form)).to_have_text(["c.png", "d.png"])
    form.get_by_role("checkbox", name="a.png").click()
    expect(form.get_by_role("checkbox", name="a.png")).not_to_be_checked()
    expect(beside(form)).to_have_text([f"a.png {LEFT_OUT}"])
    form.get_by_label("Title").fill("Now it has one")
    send(form, "b.png", "c.png", "d.png")
