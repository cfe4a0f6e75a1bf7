"""Emails are sent by the worker once, and forgotten."""

from __future__ import annotations

import asyncio
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from sidekick.accounts import delivery, emails
from sidekick.accounts.models import Letter, User
from tests.credits.books import at_once
from tests.post import delivered
from tests.sidekick.accounts.test_emails import CODE, TEMPLATE, write

pytestmark = pytest.mark.django_db
PassTime = Callable[..., datetime]


class Server(socketserver.ThreadingTCPServer):
    """A mail server that takes every message, or answers RCPT or DATA with what a test wants."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.answers: dict[str, str] = {}
        self.messages: list[str] = []
        self.holds: threading.Event | None = None
        self.reached = threading.Event()


class Conversation(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.say("220 mail.example.com")
        while line := self.rfile.readline().decode():
            verb = line.split()[0].upper()
            if verb == "DATA" and "DATA" not in self.server.answers:
                self.take()
            else:
                self.say(self.server.answers.get(verb, "250 OK"))
            if verb == "QUIT":
                return

    def take(self) -> None:
        self.say("354 Go ahead")
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        self.server.reached.set()
        if self.server.holds:
            self.server.holds.wait(30)
        self.server.messages.append("".join(lines))
        self.say("250 OK")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.server_address[1]
        settings.EMAIL_USE_TLS, settings.EMAIL_HOST_USER, settings.EMAIL_TIMEOUT = False, "", 10
        yield server
        server.shutdown()


def test_the_worker_sends_it_and_forgets_what_it_said(alice: User, pass_time: PassTime) -> None:  # O4
    email = write(alice, unsubscribe="http://testserver/emails/stop/x")
    now = pass_time(seconds=3)
    app.tasks[delivery.TASK](letter_id=str(email.id))
    (message,) = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert "K7QM-2XPD" in str(message.body)
    assert "K7QM-2XPD" in str(message.alternatives[0][0])
    assert message.extra_headers == {
        "List-Unsubscribe": "<http://testserver/emails/stop/x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    email.refresh_from_db()
    assert (email.sent_at, email.due_at, email.attempts, email.error) == (now, None, 1, "")
    assert (email.text, email.html, email.unsubscribe) == ("", "", "")
    assert (email.subject, email.to, email.template) == ("Your Sidekick sign-in code", alice.email, TEMPLATE)


def test_running_the_job_again_sends_nothing(alice: User) -> None:
    email = write(alice)
    for _ in range(3):
        delivery.send(email.id)
    delivered()
    assert len(mail.outbox) == 1


def test_the_database_keeps_no_body_of_what_was_sent(alice: User) -> None:
    email = write(alice)
    delivered()
    with pytest.raises(IntegrityError, match="letter_sent_keeps_no_body"), transaction.atomic():
        Letter.objects.filter(id=email.id).update(text="K7QM-2XPD")
    with pytest.raises(IntegrityError, match="letter_waits_or_is_done"), transaction.atomic():
        Letter.objects.filter(id=email.id).update(due_at=timezone.now())


def test_an_address_without_an_account_is_forgotten_once_written_to(db: None) -> None:
    email = write("stranger@example.com")
    assert delivered()[0].to == ["stranger@example.com"]
    email.refresh_from_db()
    assert email.to == ""


def test_a_silent_server_is_tried_again_with_growing_pauses(
    alice: User, pass_time: PassTime, settings: Settings, server: Server
) -> None:  # O4
    settings.EMAIL_PORT = 1
    email = write(alice)
    tried: list[int] = []
    for minute in range(16):
        delivered()
        email.refresh_from_db()
        if email.attempts > len(tried):
            tried.append(minute)
        pass_time(minutes=1)
    assert tried == [0, 1, 3, 7, 15]
    assert (email.error, email.sent_at) == ("ConnectionRefusedError", None)
    settings.EMAIL_PORT = server.server_address[1]
    pass_time(minutes=16)
    delivered()
    email.refresh_from_db()
    assert email.sent_at
    assert (email.error, email.text) == ("", "")
    assert len(server.messages) == 1


def test_an_email_is_given_up_after_a_dozen_tries_and_can_be_sent_again(
    alice: User, pass_time: PassTime, settings: Settings, server: Server
) -> None:
    settings.EMAIL_PORT = 1
    email = write(alice)
    for _ in range(20):
        delivered()
        pass_time(hours=20)
    email.refresh_from_db()
    assert (email.attempts, email.due_at) == (delivery.MOST_ATTEMPTS, None)
    settings.EMAIL_PORT = server.server_address[1]
    assert delivery.send_again(email)
    assert not delivery.send_again(email)
    delivered()
    assert not delivery.send_again(email)
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("answers", "error", "final"),
    [
        ({"RCPT": "550 no alice@example.com here"}, "address refused: [550]", True),
        ({"RCPT": "450 alice@example.com is greylisted"}, "address refused: [450]", False),
        ({"DATA": "554 alice@example.com wants no such email"}, "SMTPDataError 554", True),
        ({"DATA": "451 later, alice@example.com"}, "SMTPDataError 451", False),
        ({"MAIL": "553 not from hello@localhost to alice@example.com"}, "SMTPSenderRefused 553", False),
    ],
)
def test_what_the_mail_server_refuses_for_good_is_not_tried_again(
    alice: User, server: Server, answers: dict[str, str], error: str, final: bool, caplog: pytest.LogCaptureFixture
) -> None:  # O4
    """Neither the log nor the row quotes the server, which quotes the address."""
    caplog.set_level(logging.DEBUG)
    server.answers = answers
    email = write(alice)
    delivered()
    email.refresh_from_db()
    assert (email.error, email.due_at is None, email.attempts) == (error, final, 1)
    assert str(email.id) in caplog.text
    assert "alice" not in caplog.text
    assert "K7QM" not in caplog.text
    assert "alice" not in str(list(ProcrastinateJob.objects.values_list("args", flat=True)))


def test_a_code_that_ran_out_is_not_sent(alice: User, pass_time: PassTime) -> None:  # A1
    email = write(alice, expires_at=timezone.now() + timedelta(minutes=10))
    pass_time(minutes=10)
    assert delivered() == []
    email.refresh_from_db()
    assert (email.error, email.due_at, email.text, email.html) == (delivery.EXPIRED, None, "", "")
    assert not delivery.send_again(email)


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_an_email_once(alice: User, server: Server) -> None:  # O4
    for _ in range(5):
        email = write(alice)
        at_once([lambda: delivery.send(email.id), lambda: delivery.send(email.id)] * 4)  # noqa: B023
    assert len(server.messages) == 5


@pytest.mark.django_db(transaction=True)
def test_a_slow_mail_server_does_not_make_another_worker_send_it_too(alice: User, server: Server) -> None:  # O4
    """The next try is due before the server has answered the first: the row is locked until then."""
    email = write(alice)
    server.holds = threading.Event()
    with time_machine.travel(timezone.now(), tick=True) as clock:
        slow = threading.Thread(target=_send_in_a_thread, args=[email])
        slow.start()
        assert server.reached.wait(30)
        clock.shift(timedelta(minutes=5))
        delivery.send_due(timezone.now())
        server.holds.set()
        slow.join(30)
    assert len(server.messages) == 1
    email.refresh_from_db()
    assert email.sent_at


def _send_in_a_thread(email: Letter) -> None:
    delivery.send(email.id)
    connection.close()


def work_off(queue: str) -> None:
    """Run a worker until its queue is empty."""
    connector: Any = app.connector

    async def work() -> None:
        with app.replace_connector(connector.get_worker_connector()) as worker:
            async with worker.open_async():
                await worker.run_worker_async(queues=[queue], wait=False, install_signal_handlers=False)

    # Playwright's loop may run in this thread.
    at_once([lambda: asyncio.run(work())])


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_sends_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:  # O4
    # The thread that runs the task closes its connection when it is done.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    write(alice)

    work_off("letters")
    assert [message.to for message in mail.outbox] == [[alice.email]]


@app.task(name="tests.write_and_roll_back")
def write_and_roll_back() -> None:
    with transaction.atomic():
        emails.write(TEMPLATE, to="x@example.com", context=CODE)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_an_email_that_a_job_takes_back_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:  # O4
    """In the worker procrastinate has connections of its own; the email's job must not go by one of those."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    before = ProcrastinateJob.objects.filter(queue_name="letters").count()
    app.configure_task("tests.write_and_roll_back", queue="tests").defer()

    work_off("tests")
    assert ProcrastinateJob.objects.filter(queue_name="letters").count() == before
