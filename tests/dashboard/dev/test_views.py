from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection
from django.http.response import HttpResponseBase
from django.test import Client
from pytest_django import Settings

from dashboard.dev.email_samples import SAMPLES
from dashboard.dev.urls import urlpatterns

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mail_folder(settings: Settings, tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    settings.EMAIL_FILE_PATH = folder
    return folder


def send(subject: str, text: str) -> None:
    connection = get_connection("dashboard.dev.mailbox.EmailBackend")
    EmailMessage(subject, text, "hello@example.com", ["alice@example.com"], connection=connection).send()


def test_mailbox_lists_sent_mail_newest_first(client: Client) -> None:
    send("The first", "one")
    send("The second", "two")
    page = client.get("/dev/mail").content.decode()
    assert page.index("The second") < page.index("The first")


def test_a_mail_is_shown_as_text_never_as_markup(client: Client, mail_folder: Path) -> None:
    send("Your <b>code</b>", "Enter 123456 <script>alert(1)</script>\n\nhttp://localhost:8000/accounts/login/ – é")
    (file,) = mail_folder.iterdir()
    page = client.get(f"/dev/mail/{file.stem}").content.decode()
    assert "Enter 123456 &lt;script&gt;" in page
    assert "Your &lt;b&gt;code&lt;/b&gt;" in page
    assert 'href="http://localhost:8000/accounts/login/"' in page
    assert "– é" in page


def test_an_empty_mailbox_says_how_to_fill_it(client: Client) -> None:
    assert "No email yet" in client.get("/dev/mail").content.decode()


@pytest.mark.parametrize("path", ["/dev/mail/unknown", "/dev/mail/..%2Fsettings", "/dev/mail/../../manage"])
def test_only_mail_can_be_read(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_production_has_no_mailbox(client: Client, settings: Settings, mail_folder: Path) -> None:
    send("A code", "123456")
    settings.PRODUCTION, settings.DEVELOPMENT = True, False
    assert client.get("/dev/mail").status_code == 404
    assert client.get(f"/dev/mail/{next(mail_folder.iterdir()).stem}").status_code == 404
    page = client.get("/accounts/login/").content.decode()
    assert "sidekick-demo" not in page
    assert "/dev/mail" not in page


# Emails


def frame(response: HttpResponseBase) -> dict[str, str]:
    """The directives of a page's content security policy."""
    parts = [part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";")]
    return {name: value for name, _, value in parts}


def test_every_email_stands_in_the_gallery() -> None:  # O4
    """An email that someone adds without a sample fails here."""
    folder = Path(settings.BASE_DIR) / "templates"
    written = {str(path.relative_to(folder)).removesuffix("_subject.txt") for path in folder.rglob("*_subject.txt")}
    assert {sample.template for sample in SAMPLES.values()} == written


@pytest.mark.parametrize("name", SAMPLES)
def test_every_email_says_the_same_in_text_and_html(name: str) -> None:  # O4
    subject, text, html = SAMPLES[name].render()
    assert 0 < len(subject) <= 78
    assert "\n" not in subject
    for link in re.findall(r"https?://[^\s)]+", text):
        assert link.rstrip(".") in html
    for body in (text, html):
        assert "{{" not in body
        assert "None" not in body
        assert settings.SITE_URL in body
    assert text.startswith("Hello,\n\n")
    assert "\n\n\n" not in text
    for unfit in ("<script", "<img", "http://www", "src="):
        assert unfit not in html
    assert all(len(line) < 998 for line in html.splitlines())


@pytest.mark.parametrize("name", SAMPLES)
def test_an_email_is_shown_in_a_frame_that_can_do_nothing(client: Client, name: str) -> None:
    page = client.get(f"/dev/mail/letters/{name}")
    assert f'src="/dev/mail/letters/{name}/html"' in page.content.decode()
    assert 'sandbox="allow-top-navigation-by-user-activation"' in page.content.decode()
    shown = client.get(f"/dev/mail/letters/{name}/html")
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert "script" not in frame(shown)["sandbox"]
    assert frame(shown)["frame-ancestors"] == "'self'"
    assert shown.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_html_of_a_mail_is_shown_in_a_frame_that_can_do_nothing(client: Client, mail_folder: Path) -> None:
    connection = get_connection("dashboard.dev.mailbox.EmailBackend")
    message = EmailMultiAlternatives("Hi", "Plainly", "a@example.com", ["b@example.com"], connection=connection)
    message.attach_alternative("<html><head></head><body><script>alert(1)</script></body></html>", "text/html")
    message.send()
    (file,) = mail_folder.iterdir()
    page = client.get(f"/dev/mail/{file.stem}").content.decode()
    assert f'src="/dev/mail/{file.stem}/html"' in page
    assert "alert(1)" not in page
    assert "Plainly" in page
    shown = client.get(f"/dev/mail/{file.stem}/html")
    assert "alert(1)" in shown.content.decode()
    assert frame(shown)["sandbox"] == "allow-top-navigation-by-user-activation"
    assert "script-src" not in frame(shown)


def test_the_gallery_leads_to_every_email(client: Client) -> None:
    html = client.get("/dev/mail/letters").content.decode()
    assert all(f'href="/dev/mail/letters/{name}"' in html for name in SAMPLES)
    assert 'href="/dev/mail/letters"' in client.get("/dev/mail").content.decode()
    assert client.get("/dev/mail/letters/unknown").status_code == 404
    assert client.get("/dev/mail/letters/unknown/html").status_code == 404


PAGES = ["", "/letters", "/letters/verify", "/letters/verify/html", "/1-a", "/1-a/html"]


def test_every_page_of_the_mailbox_is_among_those_that_are_tried() -> None:
    addresses = [str(address.pattern) for address in urlpatterns if str(address.pattern).startswith("dev/")]
    assert len(addresses) == len(PAGES)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"PRODUCTION": True},
        {"SITE_URL": "https://sidekick-1234.tunnel.example"},
        {"SITE_URL": "https://localhost.tunnel.example"},
    ],
    ids=["production", "tunnel", "lookalike"],
)
@pytest.mark.parametrize("path", PAGES)
def test_only_a_developer_s_own_machine_shows_mail(
    client: Client, settings: Settings, path: str, elsewhere: dict[str, Any], mail_folder: Path
) -> None:  # O4
    mail_folder.mkdir()
    (mail_folder / "1-a.eml").write_text("Subject: x\n\nx")
    assert client.get(f"/dev/mail{path}").status_code == 200
    for name, value in elsewhere.items():
        setattr(settings, name, value)
    assert client.get(f"/dev/mail{path}").status_code == 404
