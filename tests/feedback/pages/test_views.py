"""The Feedback tab as customers see it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from feedback import triage
from feedback.images import MOST_BYTES
from feedback.models import Report, ReportImage
from feedback.uploads import MOST_OF_A_BODY, BoundedUpload
from sidekick.accounts.models import Letter, User
from tests.conftest import UNKNOWN_ID
from tests.feedback import pictures
from tests.feedback.conftest import NOW, SignIn
from tests.feedback.reports import BUG, FEATURE, REPORTS, SWAP, WORDS, made, post, upload

pytestmark = pytest.mark.django_db


BOMB = "bomb.png has more than 25 million pixels: crop it or scale it down, then choose it again."


def page(client: Client, path: str, status: int = 200, headers: dict[str, str] | None = None) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.content[:500]
    return str(response.content.decode())


def words(html: str) -> str:
    """The text of a page, with single spaces."""
    return " ".join(unescape(re.sub(r"<template.*?</template>|<[^>]+>", " ", html, flags=re.S)).split())


def refused(response: Any, status: int = 422) -> str:
    assert response.status_code == status, response.content[:500]
    assert not Report.objects.exists()
    return str(response.content.decode())


def errors_of(html: str, field: str) -> list[str]:
    """The error messages beside a field."""
    beside = re.search(rf'<div id="report_{field}_error".*?>(.*?)</div>', html, re.S)
    assert beside
    return [words(line) for line in re.findall(r"<p.*?</p>", beside[1], re.S)]


# Access


@pytest.mark.parametrize(
    ("path", "heading", "button"),
    [(BUG, "Report a bug", "Submit Bug Report"), (FEATURE, "Request a feature", "Submit Feature Request")],
)
def test_a_form_states_its_limits_and_what_is_sent_along(
    browser: Client, path: str, heading: str, button: str
) -> None:  # F1 F3 F5
    html = page(browser, path, headers={"Referer": "http://testserver/dashboard/credits?page=3", "User-Agent": "Fox 7"})
    text = words(html)
    for said in (
        heading, button, "Up to 120 characters.", "Up to 5,000 characters.", "Low Medium High",
        "Up to 3: PNG, JPEG or WebP, 5 MB each.", "alice@example.com", "Page /dashboard/credits", "Browser Fox 7",
    ):  # fmt: skip
        assert said in text
    assert 'name="page" value="/dashboard/credits"' in html
    assert re.search(r'name="priority" value="medium"[^>]* checked', html)


@pytest.mark.parametrize("path", [BUG, FEATURE, REPORTS, "report", "sent"])
def test_a_load_gives_the_page_and_a_swap_its_content(browser: Client, alice: User, path: str) -> None:  # N4
    report = made(alice)
    path = {"report": f"{REPORTS}/{report.id}", "sent": f"{REPORTS}/{report.id}/sent"}.get(path, path)
    full, content = page(browser, path), page(browser, path, headers=SWAP)
    assert full.startswith("<!doctype html>")
    assert "<html" not in content
    assert "<title>" in content
    assert 'aria-current="page"' in content
    assert full.count("<h1") == content.count("<h1") == 1


@pytest.mark.parametrize("path", [BUG, FEATURE, REPORTS, f"{REPORTS}/{UNKNOWN_ID}", f"{REPORTS}/{UNKNOWN_ID}/sent"])
def test_anonymous_visitors_sign_in_first(client: Client, path: str) -> None:  # N1
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=%2Fdashboard%2Ffeedback")
    assert client.get(path, headers=SWAP)["HX-Redirect"].startswith("/accounts/login/")


@pytest.mark.parametrize("path", [BUG, FEATURE])
def test_nothing_is_stored_for_anonymous_visitors_or_without_a_csrf_token(
    client: Client, alice: User, sign_in: SignIn, path: str
) -> None:
    assert post(client, path)["Location"].startswith("/accounts/login/")
    strict = Client(enforce_csrf_checks=True)
    sign_in(strict, alice)
    assert post(strict, path).status_code == 403
    assert not Report.objects.exists()


def test_a_stranger_gets_404(browser: Client, other: Client, alice: User) -> None:  # F5
    report = made(alice, pictured=1)
    image = report.images.get().get_absolute_url()
    for path in (report.get_absolute_url(), f"{report.get_absolute_url()}/sent", image):
        assert browser.get(path).status_code == 200
        assert other.get(path).status_code == 404
    assert "No reports yet" in page(other, REPORTS)
    assert Client().get(image).status_code == 404


@pytest.mark.parametrize(
    "path", [f"{REPORTS}/{UNKNOWN_ID}", f"{REPORTS}/1", f"/dashboard/feedback/images/{UNKNOWN_ID}"]
)
def test_ids_that_nothing_has_are_404(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 404


# Sending


def test_a_report_is_stored_with_what_was_shown(browser: Client, alice: User) -> None:  # F1 F2 F5
    response = post(
        browser, BUG, upload(pictures.png(), "first.png"), upload(pictures.photo(), "second.jpg"),
        page="/dashboard/credits", app_version=" 2.4.1 ", headers={"User-Agent": "Fox 7"},
    )  # fmt: skip
    report = Report.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"{REPORTS}/{report.id}/sent"
    assert (report.account, report.account_email) == (alice, "alice@example.com")
    assert (report.kind, report.title, report.priority, report.status) == ("bug", WORDS["title"], "high", "new")
    assert report.description == "I opened Credits.\nThe chart had no bars."
    assert (report.page, report.browser, report.app_version) == ("/dashboard/credits", "Fox 7", "2.4.1")
    assert [(image.name, image.media_type) for image in report.images.all()] == [
        ("first.png", "image/png"),
        ("second.jpg", "image/jpeg"),
    ]
    confirmed = page(browser, response["Location"])
    assert f"Thank you, we have your bug report Its reference is {report.reference}" in words(confirmed)
    assert f'href="{REPORTS}/{report.id}"' in confirmed
    shown = page(browser, report.get_absolute_url())
    assert "I opened Credits.\nThe chart had no bars." in shown
    assert shown.count("<img") == 2


def test_a_feature_request_is_one(browser: Client) -> None:  # F1
    response = post(browser, FEATURE)
    report = Report.objects.get()
    assert report.kind == "feature"
    assert report.reference == f"IDEA-{report.number}"
    assert "we have your feature request" in words(page(browser, response["Location"]))


def test_a_report_of_a_swap_leads_there_too(browser: Client) -> None:  # N4
    response = post(browser, BUG, headers=SWAP)
    assert response.status_code == 302
    assert "we have your bug report" in words(page(browser, response["Location"], headers=SWAP))


def test_what_arrived_is_confirmed_by_email_without_its_words(browser: Client, alice: User) -> None:  # F4
    post(browser)
    report, email = Report.objects.get(), Letter.objects.get()
    assert (email.account, email.key) == (alice, f"feedback:{report.id}:received")
    assert email.subject == f"{report.reference}: we got your bug report"
    for body in (email.text, email.html):
        assert f"http://localhost:8000{REPORTS}/{report.id}" in body
        assert WORDS["title"] not in body


# Refusals


def test_errors_stay_beside_their_fields_and_what_was_typed_stays(browser: Client) -> None:  # F3
    response = post(browser, FEATURE, title=" ", description="Why <b>not</b>?", priority="urgent", app_version="9" * 41)
    html = refused(response)
    assert errors_of(html, "title") == ["Write a title: one line that says what it is about."]
    assert errors_of(html, "priority") == ["Choose Low, Medium or High."]
    assert errors_of(html, "app_version") == ["Use at most 40 characters; these are 41."]
    assert errors_of(html, "description") == []
    assert "Why &lt;b&gt;not&lt;/b&gt;?" in html
    assert "9" * 41 in html
    summary = re.search(r'<div class="error-summary" role="alert" tabindex="-1" autofocus>(.*?)</div>', html, re.S)
    assert summary
    for name in ("title", "priority", "app_version"):
        assert f'href="#report_{name}"' in summary[1]
        assert f'id="report_{name}"' in html


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad\u2060 \r\n\ufeff", "\u3164\u2800"])
def test_invisible_characters_are_an_empty_report(browser: Client, unseen: str) -> None:  # F3
    html = refused(post(browser, title=unseen, description=unseen))
    assert errors_of(html, "title") == ["Write a title: one line that says what it is about."]
    assert errors_of(html, "description") == ["Describe what happened, and what you expected instead."]


def test_a_refused_swap_is_answered_with_the_form_and_keeps_the_address(browser: Client) -> None:  # F3
    response = post(browser, BUG, title="", headers=SWAP)
    html = refused(response, 200)
    assert response["HX-Push-Url"] == "false"
    assert "<html" not in html
    assert "Write a title" in html


@pytest.mark.parametrize(("length", "taken"), [(5000, True), (5001, False)])
def test_five_thousand_characters_are_taken_and_an_end_of_line_is_one(
    browser: Client, length: int, taken: bool
) -> None:  # F3
    text = "x\r\n" * 2000 + "y" * (length - 4000)
    response = post(browser, description=text)
    if taken:
        assert len(Report.objects.get().description) == 5000
    else:
        html = refused(response)
        assert errors_of(html, "description") == ["Use at most 5,000 characters; these are 5,001."]
        assert html.count("x\r\n") == 2000


def test_a_title_of_many_lines_becomes_one(browser: Client) -> None:
    post(browser, title="  The\r\nchart \t is\x07 empty ")
    assert Report.objects.get().title == "The chart is empty"


@pytest.mark.parametrize(
    "page", ["https://evil.example/x", "//evil.example", "javascript:alert(1)", "/a?b=c", "x" * 300]
)
def test_a_page_that_is_none_of_ours_is_left_out(browser: Client, page: str) -> None:  # F5
    post(browser, page=page)
    assert Report.objects.get().page == ""


@pytest.mark.parametrize(
    ("before", "shown"),
    [("http://testserver/pricing", "/pricing"), ("http://evil.example/pricing", "none"),
     ("http://testserver/dashboard/feedback/reports", "none"), ("http://testserver/accounts/login/?next=x", "none")],
)  # fmt: skip
def test_the_page_they_came_from_is_one_of_ours_and_goes_along_between_the_forms(
    browser: Client, before: str, shown: str
) -> None:  # F5
    html = page(browser, BUG, headers={**SWAP, "HX-Current-URL": before})
    assert f"Page {shown}" in words(html)
    link = re.search(rf'href="({FEATURE}[^"]*)"', html)
    assert link
    assert f"Page {shown}" in words(page(browser, unescape(link[1]), headers={"Referer": f"http://testserver{BUG}"}))


# Images


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("holiday.png", b"MZ\x90\x00 a program", "holiday.png is not a PNG, JPEG or WebP image."),
        ("drawing.svg", pictures.SVG, "drawing.svg is not a PNG, JPEG or WebP image."),
        ("cut.png", pictures.png(900, 700)[:900], "cut.png is damaged and can’t be opened."),
        ("six.png", pictures.large(6 * 1024 * 1024), "six.png is larger than 5 MB."),
        ("nothing.png", b"", "nothing.png is empty."),
        ("bomb.png", pictures.bomb(), BOMB),
    ],
)
def test_a_bad_image_is_told_of_beside_the_field_and_the_good_one_is_kept(
    browser: Client, name: str, content: bytes, sentence: str
) -> None:  # F3 F5
    html = refused(post(browser, BUG, upload(pictures.png(), "good.png"), upload(content, name)))
    assert errors_of(html, "images") == [sentence]
    assert WORDS["title"] in html
    kept = ReportImage.objects.get()
    assert (kept.name, kept.report) == ("good.png", None)
    assert f'name="keep" value="{kept.id}" checked' in html
    assert f'src="/dashboard/feedback/images/{kept.id}"' in html


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [("IMG_1.HEIC", pictures.heic(), "image/heic"), ("photo.png", pictures.heic(b"mif1"), "image/png"),
     ("IMG_2.heif", b"cut off", "application/octet-stream"), ("IMG_3", b"cut off", "image/heif"),
     ("IMG_4.heic", pictures.heic() + bytes(6 * 1024 * 1024), "application/octet-stream")],
)  # fmt: skip
def test_an_iphones_photo_is_refused_with_advice(
    browser: Client, name: str, content: bytes, media_type: str
) -> None:  # F5
    photo = upload(content, name)
    photo.content_type = media_type
    (said,) = errors_of(refused(post(browser, BUG, photo)), "images")
    assert said.startswith(f"{name} is a HEIC photo, which we can’t read. Save it as JPEG and choose that")
    assert "Settings › Camera › Formats › Most Compatible" in said


def test_a_jpeg_that_is_called_heic_is_taken(browser: Client) -> None:  # F5
    post(browser, BUG, upload(pictures.photo(), "IMG_1.HEIC"))
    assert Report.objects.get().images.get().media_type == "image/jpeg"


def test_the_same_file_twice_is_one_image_also_when_it_was_kept(browser: Client) -> None:  # F5
    token = uuid4()
    refused(post(browser, BUG, upload(pictures.png(), "a.png"), upload(pictures.png(), "a.png"), title="", token=token))
    kept = ReportImage.objects.get()
    refused(post(browser, BUG, upload(pictures.png(), "a.png"), title="", token=token, keep=[str(kept.id)]))
    assert ReportImage.objects.get() == kept
    post(browser, BUG, upload(pictures.png(), "a.png"), token=token, keep=[str(kept.id)])
    assert Report.objects.get().images.get() == kept


def test_a_fourth_image_is_left_out_with_a_sentence(browser: Client) -> None:  # F5
    files = [upload(pictures.png(60 + n), f"{n}.png") for n in range(1, 5)]
    html = refused(post(browser, BUG, *files))
    assert errors_of(html, "images") == ["4.png was left out: 3 images are the most."]
    assert [image.name for image in ReportImage.objects.all()] == ["1.png", "2.png", "3.png"]


def test_bad_files_before_a_good_one_do_not_make_it_look_empty(browser: Client) -> None:  # F5
    bad = [upload(pictures.SVG, f"{n}.svg") for n in range(3)]
    html = refused(post(browser, BUG, *bad, upload(pictures.png(), "good.png")))
    assert errors_of(html, "images")[2:] == [
        "2.svg is not a PNG, JPEG or WebP image.",
        "good.png was left out: 3 images are the most.",
    ]


def test_kept_images_are_sent_with_the_next_try_and_unticked_ones_are_not(browser: Client) -> None:  # F3
    token = uuid4()
    files = [upload(pictures.png(60 + n), f"{n}.png") for n in range(2)]
    refused(post(browser, BUG, *files, title="", token=token))
    _, second = ReportImage.objects.all()
    refused(post(browser, BUG, upload(pictures.png(70), "2.png"), title="", token=token, keep=[str(second.id)]))
    assert [image.name for image in ReportImage.objects.all()] == ["1.png", "2.png"]
    keep = [str(image.id) for image in ReportImage.objects.all()]
    post(browser, BUG, upload(pictures.png(71), "3.png"), token=token, keep=keep)
    assert [image.name for image in Report.objects.get().images.all()] == ["1.png", "2.png", "3.png"]
    assert not ReportImage.objects.filter(report=None).exists()


def test_kept_and_new_images_together_are_three_at_most(browser: Client) -> None:  # F5
    token = uuid4()
    refused(post(browser, BUG, upload(pictures.png(61)), upload(pictures.png(62)), title="", token=token))
    keep = [str(image.id) for image in ReportImage.objects.all()]
    files = [upload(pictures.png(60 + n), name) for n, name in enumerate(("a.png", "b.png"), start=3)]
    html = refused(post(browser, BUG, *files, token=token, keep=keep))
    assert errors_of(html, "images") == ["b.png was left out: 3 images are the most."]
    assert ReportImage.objects.count() == 3


def test_a_kept_image_that_is_gone_is_asked_for_again(browser: Client) -> None:  # F3
    html = refused(post(browser, BUG, keep=[str(uuid4())]))
    assert errors_of(html, "images") == [
        "An image that was kept from your last try is gone: they stay for a day. Please choose it again."
    ]


def test_nobody_sends_or_sees_images_that_another_account_keeps(browser: Client, other: Client) -> None:  # F5
    token = uuid4()
    refused(post(browser, BUG, upload(pictures.png()), title="", token=token))
    kept = ReportImage.objects.get()
    assert other.get(kept.get_absolute_url()).status_code == 404
    html = refused(post(other, BUG, token=token, keep=[str(kept.id)]))
    assert "gone" in errors_of(html, "images")[0]
    kept.refresh_from_db()


def test_an_account_keeps_twelve_images_at_most(browser: Client) -> None:
    for _ in range(5):
        refused(post(browser, BUG, *[upload(pictures.png(60 + n)) for n in range(3)], title=""))
    assert ReportImage.objects.count() == 12


def test_an_image_is_served_as_nothing_that_could_act(browser: Client, alice: User) -> None:  # F5
    image = made(alice, pictured=1).images.get()
    response = browser.get(image.get_absolute_url())
    assert response.content == bytes(image.content)
    assert response["Content-Type"] == "image/png"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == f'inline; filename="{image.id}.png"'
    assert response["Cache-Control"].startswith("private")
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"


def test_operators_see_images_that_were_sent_and_none_that_are_only_kept(
    browser: Client, backoffice: Client, olga: User, alice: User
) -> None:  # F5
    sent = made(alice, pictured=1).images.get()
    post(browser, BUG, upload(pictures.png()), title="")
    kept = ReportImage.objects.get(report=None)
    assert backoffice.get(sent.get_absolute_url()).status_code == 200
    assert backoffice.get(kept.get_absolute_url()).status_code == 404
    User.objects.filter(pk=olga.pk).update(is_superuser=False)
    assert backoffice.get(sent.get_absolute_url()).status_code == 404


# Once, and not too often


def test_the_same_form_sent_twice_is_one_report(browser: Client) -> None:  # F3
    token = uuid4()
    first = post(browser, BUG, upload(pictures.png()), token=token)
    second = post(browser, BUG, upload(pictures.png()), token=token)
    assert second["Location"] == first["Location"]
    assert Report.objects.count() == ReportImage.objects.count() == Letter.objects.count() == 1


def test_a_form_sent_again_much_later_is_still_one_report(browser: Client, clock: time_machine.Traveller) -> None:  # F3
    token = uuid4()
    first = post(browser, token=token)
    clock.move_to(NOW + timedelta(hours=3))
    assert post(browser, token=token)["Location"] == first["Location"]
    assert Report.objects.count() == 1


def test_back_and_again_with_kept_images_is_one_report(browser: Client) -> None:  # F3
    token = uuid4()
    refused(post(browser, BUG, upload(pictures.png()), title="", token=token))
    keep = [str(ReportImage.objects.get().id)]
    first = post(browser, token=token, keep=keep)
    assert post(browser, token=token, keep=keep)["Location"] == first["Location"]
    assert Report.objects.get().images.count() == 1


def test_two_tabs_with_the_same_words_are_one_report_for_ten_minutes(
    browser: Client, clock: time_machine.Traveller
) -> None:  # F3
    first = post(browser)
    clock.move_to(NOW + timedelta(minutes=9))
    assert post(browser)["Location"] == first["Location"]
    clock.move_to(NOW + timedelta(minutes=11))
    assert post(browser)["Location"] != first["Location"]


def test_other_words_another_kind_or_another_account_are_another_report(browser: Client, other: Client) -> None:
    token = uuid4()
    for response in (
        post(browser, token=token),
        post(browser, FEATURE, token=token),
        post(browser, token=token, title="Another"),
        post(other, token=token),
    ):
        assert response.status_code == 302
    assert Report.objects.count() == 4


@pytest.mark.parametrize(("headers", "status"), [(None, 429), (SWAP, 200)], ids=["load", "swap"])
def test_the_eleventh_in_an_hour_is_told_when_and_loses_nothing(
    browser: Client, alice: User, clock: time_machine.Traveller, headers: dict[str, str] | None, status: int
) -> None:  # F3
    User.objects.filter(pk=alice.pk).update(time_zone="Europe/Berlin")
    for n in range(10):
        made(alice, now=NOW + timedelta(minutes=n))
    clock.move_to(NOW + timedelta(minutes=30))
    token = uuid4()
    response = post(browser, BUG, upload(pictures.png()), token=token, headers=headers)
    html = response.content.decode()
    assert response.status_code == status
    assert "You can send this one in 30 minutes, at 13:00 (Europe/Berlin)" in words(html)
    assert WORDS["title"] in html
    assert Report.objects.count() == 10
    clock.move_to(NOW + timedelta(minutes=61))
    assert post(browser, token=token, keep=[str(ReportImage.objects.get(report=None).id)]).status_code == 302
    assert Report.objects.first().images.count() == 1  # type: ignore[union-attr]


def test_errors_and_repetitions_cost_nobody_an_attempt(browser: Client, alice: User) -> None:  # F3
    for _ in range(9):
        made(alice)
    for _ in range(3):
        assert post(browser, title="").status_code == 422
    token = uuid4()
    for _ in range(2):
        assert post(browser, token=token).status_code == 302
    assert post(browser, title="One too many").status_code == 429
    # Sending the tenth report once more leads to the stored one.
    assert post(browser, token=token).status_code == 302
    assert Report.objects.count() == 10


def test_another_account_is_not_held_up(browser: Client, other: Client, alice: User) -> None:
    for _ in range(10):
        made(alice)
    assert post(other).status_code == 302


def test_the_sixteenth_try_in_ten_minutes_is_refused_before_images_are_decoded(
    browser: Client, other: Client, clock: time_machine.Traveller
) -> None:  # F3
    for _ in range(15):
        assert post(browser, title="").status_code == 422
    response = post(browser, BUG, upload(pictures.png()))
    html = refused(response, 429)
    assert "That was a lot at once" in html
    assert WORDS["title"] in html
    assert not ReportImage.objects.exists()
    assert post(other, title="").status_code == 422
    clock.shift(timedelta(minutes=11))
    assert post(browser, BUG, upload(pictures.png())).status_code == 302


def test_a_body_beyond_all_measure_is_refused_unread(browser: Client) -> None:  # F5
    class Unread(BytesIO):
        def read(self, *args: Any) -> bytes:
            raise AssertionError("read")

    kind = "multipart/form-data; boundary=x"
    unread = {"CONTENT_TYPE": kind, "CONTENT_LENGTH": str(MOST_OF_A_BODY + 1), "wsgi.input": Unread()}
    response = browser.generic("POST", BUG, **unread)  # type: ignore[arg-type]
    assert response.status_code == 413


# The list and one report


def test_the_list_shows_status_and_numbered_pages(browser: Client, alice: User, olga: User) -> None:  # F4
    for n in range(23):
        made(alice, title=f"Report {n}", now=NOW - timedelta(days=2) + timedelta(hours=n))
    newest = made(alice, kind="feature", title="Newest")
    triage.answer(newest.pk, status="planned", reply="Soon.", by=olga, reason="Asked often.", now=timezone.now())
    html = page(browser, REPORTS)
    assert "1–20 of 24 reports" in words(html)
    first = words(html[html.index("<tbody>") :])
    assert first.startswith(f"Feature request: Newest with reply {newest.reference} Low 3 May 2026 Planned")
    assert "21–24 of 24 reports" in words(page(browser, f"{REPORTS}?page=2"))
    assert "There is no page 9" in page(browser, f"{REPORTS}?page=9", 422)
    only = page(browser, f"{REPORTS}?page=2", headers={"HX-Request": "true", "HX-Target": "reports"})
    assert only.lstrip().startswith('<div id="reports">')


@pytest.mark.parametrize("count", [1, 25])
def test_a_page_of_the_list_costs_the_same_at_any_number(
    browser: Client, alice: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(count):
        made(alice, now=NOW - timedelta(days=2) + timedelta(hours=n))
    with django_assert_num_queries(3):  # who asks, how many, the rows
        page(browser, REPORTS)


def test_a_report_shows_reply_and_history_and_nothing_internal(
    browser: Client, alice: User, olga: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:  # F4
    report = made(alice, now=NOW - timedelta(days=3))
    triage.answer(report.pk, status="triaged", by=olga, reason="Looks real", now=NOW - timedelta(days=2))
    triage.answer(
        report.pk,
        status="done",
        reply="It is\nfixed <now>.",
        by=olga,
        reason="Shipped today",
        now=NOW - timedelta(days=1),
    )
    Report.objects.update(note="Secret note")
    with django_assert_num_queries(4):  # who asks, the report, its images, its history
        html = page(browser, report.get_absolute_url())
    text = words(html)
    assert "It is\nfixed &lt;now&gt;." in html
    assert (
        "What happened Done, with a reply 2 May 2026, 10:00 Triaged 1 May 2026, 10:00 We got it 30 April 2026" in text
    )
    for internal in ("Looks real", "Shipped", "Secret", "olga"):
        assert internal not in html


def test_an_empty_list_leads_to_the_forms(browser: Client) -> None:
    html = page(browser, REPORTS)
    assert "No reports yet" in html
    assert f'href="{FEATURE}"' in html


def test_what_is_held_of_an_upload_is_bounded() -> None:  # F5
    handler = BoundedUpload()
    for count in range(1, 6):
        handler.new_file("images", f"{count}.png", "image/png", None)
        size, chunk = MOST_BYTES + (2 if count == 2 else 0), b"x" * 65536
        for start in range(0, size, len(chunk)):
            handler.receive_data_chunk(chunk[: size - start], start)
        file = handler.file_complete(size)
        assert file.size == size
        assert len(file.read()) == (MOST_BYTES if count in {1, 3, 4} else 0)
