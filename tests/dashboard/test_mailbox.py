from __future__ import annotations

from pathlib import Path

import pytest
from django.core.mail import EmailMessage, get_connection
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def mail_folder(settings: Settings, tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    settings.EMAIL_FILE_PATH = folder
    return folder


def send(subject: str, text: str) -> None:
    connection = get_connection("dashboard.mailbox.EmailBackend")
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
    settings.PRODUCTION = True
    assert client.get("/dev/mail").status_code == 404
    assert client.get(f"/dev/mail/{next(mail_folder.iterdir()).stem}").status_code == 404
    page = client.get("/accounts/login/").content.decode()
    assert "sidekick-demo" not in page
    assert "/dev/mail" not in page
