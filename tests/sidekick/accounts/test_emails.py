"""Letters: written with what they tell of, sent by the worker once, and forgotten."""

from __future__ import annotations

import asyncio
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail, signing
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from sidekick.accounts import emails, known_devices
from sidekick.accounts.models import DeviceSession, Letter, User
from tests.conftest import PASSWORD, make_user
from tests.credits.books import at_once
from tests.post import delivered

pytestmark = pytest.mark.django_db
TEMPLATE = "account/email/login_code"
CODE = {"code": "K7QM-2XPD"}
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0"
CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
)
PassTime = Callable[..., datetime]


def write(to: User | str, **options: Any) -> Letter:
    emails.write(TEMPLATE, to=to, **{"context": CODE, **options})
    return Letter.objects.order_by("created_at").last()  # type: ignore[return-value]


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


# Writing


def test_a_letter_waits_for_the_worker_and_says_the_same_in_text_and_html(alice: User) -> None:  # O4
    letter = write(alice)
    assert mail.outbox == []
    assert (letter.to, letter.account, letter.subject) == (alice.email, alice, "Your Sidekick sign-in code")
    for body in (letter.text, letter.html):
        assert "K7QM-2XPD" in body
        assert "hello@localhost" in body
    assert "<" not in letter.text


def test_the_job_knows_the_letter_and_nothing_else(alice: User) -> None:  # O4
    letter = write(alice)
    job = ProcrastinateJob.objects.get(task_name=emails.TASK)
    assert job.args == {"letter_id": str(letter.id)}
    assert job.priority > 0
    assert emails.TASK in app.tasks


def test_what_is_rolled_back_tells_nobody(alice: User) -> None:
    with transaction.atomic():
        write(alice)
        transaction.set_rollback(True)
    assert not Letter.objects.exists()
    assert not ProcrastinateJob.objects.exists()
    assert delivered() == []


def test_a_key_writes_once_ever(alice: User, charlie: User) -> None:
    for to in (alice, alice, charlie):
        write(to, key="once")
    delivered()
    write(alice, key="once")
    assert [message.to for message in delivered()] == [[alice.email]]
    assert ProcrastinateJob.objects.count() == 1
    assert emails.written(["once", "never"]) == {"once"}


@pytest.mark.django_db(transaction=True)
def test_a_key_writes_once_from_many_at_once(alice: User) -> None:
    at_once([lambda: emails.write(TEMPLATE, to=alice, context=CODE, key="once")] * 8)
    letter = Letter.objects.get()
    assert ProcrastinateJob.objects.filter(args__letter_id=str(letter.id)).count() == 1


def test_an_account_that_was_deleted_gets_nothing(alice: User) -> None:  # A10
    alice.deleted_at = timezone.now()
    emails.write(TEMPLATE, to=alice, context=CODE)
    assert not Letter.objects.exists()


def test_what_people_typed_is_escaped_in_html_only_and_times_are_theirs(alice: User) -> None:
    alice.time_zone = "Asia/Tokyo"
    moment = datetime(2026, 5, 3, 22, 30, tzinfo=UTC)
    context = {"timestamp": moment, "browser": "<b>&", "ip": "192.0.2.1"}
    emails.write("account/email/new_sign_in", to=alice, context=context)
    letter = Letter.objects.get()
    assert "<b>&" in letter.text
    assert "&lt;b&gt;&amp;" in letter.html
    for body in (letter.text, letter.html):
        assert "4 May 2026, 07:30 (Asia/Tokyo)" in body


# Sending


def test_the_worker_sends_it_and_forgets_what_it_said(alice: User, pass_time: PassTime) -> None:  # O4
    letter = write(alice, unsubscribe="http://testserver/emails/stop/x")
    now = pass_time(seconds=3)
    app.tasks[emails.TASK](letter_id=str(letter.id))
    (message,) = mail.outbox
    assert isinstance(message, EmailMultiAlternatives)
    assert "K7QM-2XPD" in str(message.body)
    assert "K7QM-2XPD" in str(message.alternatives[0][0])
    assert message.extra_headers == {
        "List-Unsubscribe": "<http://testserver/emails/stop/x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    letter.refresh_from_db()
    assert (letter.sent_at, letter.due_at, letter.attempts, letter.error) == (now, None, 1, "")
    assert (letter.text, letter.html, letter.unsubscribe) == ("", "", "")
    assert (letter.subject, letter.to, letter.template) == ("Your Sidekick sign-in code", alice.email, TEMPLATE)


def test_running_the_job_again_sends_nothing(alice: User) -> None:
    letter = write(alice)
    for _ in range(3):
        emails.send(letter.id)
    delivered()
    assert len(mail.outbox) == 1


def test_the_database_keeps_no_body_of_what_was_sent(alice: User) -> None:
    letter = write(alice)
    delivered()
    with pytest.raises(IntegrityError, match="letter_sent_keeps_no_body"), transaction.atomic():
        Letter.objects.filter(id=letter.id).update(text="K7QM-2XPD")
    with pytest.raises(IntegrityError, match="letter_waits_or_is_done"), transaction.atomic():
        Letter.objects.filter(id=letter.id).update(due_at=timezone.now())


def test_an_address_without_an_account_is_forgotten_once_written_to(db: None) -> None:
    letter = write("stranger@example.com")
    assert delivered()[0].to == ["stranger@example.com"]
    letter.refresh_from_db()
    assert letter.to == ""


def test_a_silent_server_is_tried_again_with_growing_pauses(
    alice: User, pass_time: PassTime, settings: Settings, server: Server
) -> None:  # O4
    settings.EMAIL_PORT = 1
    letter = write(alice)
    tried: list[int] = []
    for minute in range(16):
        delivered()
        letter.refresh_from_db()
        if letter.attempts > len(tried):
            tried.append(minute)
        pass_time(minutes=1)
    assert tried == [0, 1, 3, 7, 15]
    assert (letter.error, letter.sent_at) == ("ConnectionRefusedError", None)
    settings.EMAIL_PORT = server.server_address[1]
    pass_time(minutes=16)
    delivered()
    letter.refresh_from_db()
    assert letter.sent_at
    assert (letter.error, letter.text) == ("", "")
    assert len(server.messages) == 1


def test_a_letter_is_given_up_after_a_dozen_tries_and_can_be_sent_again(
    alice: User, pass_time: PassTime, settings: Settings, server: Server
) -> None:
    settings.EMAIL_PORT = 1
    letter = write(alice)
    for _ in range(20):
        delivered()
        pass_time(hours=20)
    letter.refresh_from_db()
    assert (letter.attempts, letter.due_at) == (emails.MOST_ATTEMPTS, None)
    settings.EMAIL_PORT = server.server_address[1]
    assert emails.send_again(letter)
    assert not emails.send_again(letter)
    delivered()
    assert not emails.send_again(letter)
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("answers", "error", "final"),
    [
        ({"RCPT": "550 no alice@example.com here"}, "address refused: [550]", True),
        ({"RCPT": "450 alice@example.com is greylisted"}, "address refused: [450]", False),
        ({"DATA": "554 alice@example.com wants no such letter"}, "SMTPDataError 554", True),
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
    letter = write(alice)
    delivered()
    letter.refresh_from_db()
    assert (letter.error, letter.due_at is None, letter.attempts) == (error, final, 1)
    assert str(letter.id) in caplog.text
    assert "alice" not in caplog.text
    assert "K7QM" not in caplog.text
    assert "alice" not in str(list(ProcrastinateJob.objects.values_list("args", flat=True)))


def test_a_code_that_ran_out_is_not_sent(alice: User, pass_time: PassTime) -> None:  # A1
    letter = write(alice, expires_at=timezone.now() + timedelta(minutes=10))
    pass_time(minutes=10)
    assert delivered() == []
    letter.refresh_from_db()
    assert (letter.error, letter.due_at, letter.text, letter.html) == (emails.EXPIRED, None, "", "")
    assert not emails.send_again(letter)


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_a_letter_once(alice: User, server: Server) -> None:  # O4
    for _ in range(5):
        letter = write(alice)
        at_once([lambda: emails.send(letter.id), lambda: emails.send(letter.id)] * 4)  # noqa: B023
    assert len(server.messages) == 5


@pytest.mark.django_db(transaction=True)
def test_a_slow_mail_server_does_not_make_another_worker_send_it_too(alice: User, server: Server) -> None:  # O4
    """The next try is due before the server has answered the first: the row is locked until then."""
    letter = write(alice)
    server.holds = threading.Event()
    with time_machine.travel(timezone.now(), tick=True) as clock:
        slow = threading.Thread(target=_send_in_a_thread, args=[letter])
        slow.start()
        assert server.reached.wait(30)
        clock.shift(timedelta(minutes=5))
        emails.send_due(timezone.now())
        server.holds.set()
        slow.join(30)
    assert len(server.messages) == 1
    letter.refresh_from_db()
    assert letter.sent_at


def _send_in_a_thread(letter: Letter) -> None:
    emails.send(letter.id)
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_sends_it(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:  # O4
    # The thread that runs the task closes its connection when it is done.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    write(alice)

    async def work() -> None:
        connector = app.connector.get_worker_connector()  # type: ignore[attr-defined]
        with app.replace_connector(connector) as worker:
            async with worker.open_async():
                await worker.run_worker_async(queues=["letters"], wait=False, install_signal_handlers=False)

    # Playwright's loop may run in this thread.
    at_once([lambda: asyncio.run(work())])
    assert [message.to for message in mail.outbox] == [[alice.email]]


@app.task(name="tests.write_and_roll_back")
def write_and_roll_back() -> None:
    with transaction.atomic():
        emails.write(TEMPLATE, to="x@example.com", context=CODE)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_a_job_takes_back_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:  # O4
    """In the worker procrastinate has connections of its own; the letter's job must not go by one of those."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    before = ProcrastinateJob.objects.filter(queue_name="letters").count()
    app.configure_task("tests.write_and_roll_back", queue="tests").defer()

    async def work() -> None:
        connector = app.connector.get_worker_connector()  # type: ignore[attr-defined]
        with app.replace_connector(connector) as worker:
            async with worker.open_async():
                await worker.run_worker_async(queues=["tests"], wait=False, install_signal_handlers=False)

    # Playwright's loop may run in this thread.
    at_once([lambda: asyncio.run(work())])
    assert ProcrastinateJob.objects.filter(queue_name="letters").count() == before


# allauth's letters


def log_in(client: Client, user: User, agent: str = FIREFOX, ip: str = "203.0.113.7") -> None:
    answer = client.post(
        "/accounts/login/",
        {"login": user.email, "password": PASSWORD},
        headers={"User-Agent": agent},
        REMOTE_ADDR=ip,
    )
    assert answer.status_code == 302


def test_codes_go_out_in_both_shapes_and_expire(client: Client, alice: User) -> None:  # A1
    client.post("/accounts/login/code/", {"email": alice.email})
    letter = Letter.objects.get()
    assert letter.account == alice
    assert letter.expires_at
    assert timedelta(minutes=9) < letter.expires_at - timezone.now() <= timedelta(minutes=10)
    (message,) = delivered()
    assert isinstance(message, EmailMultiAlternatives)
    assert message.alternatives[0][1] == "text/html"


@pytest.mark.parametrize("path", ["/accounts/login/code/", "/accounts/password/reset/"])
def test_an_unknown_address_costs_what_a_known_one_costs(alice: User, path: str) -> None:  # A9
    """Both ways write one letter and one job: the same statements, and the worker's part nobody can time."""
    costs = []
    for email in (alice.email, "alicf@example.com"):
        with CaptureQueriesContext(connection) as queries:
            Client().post(path, {"email": email})
        costs.append([query["sql"].split(" ")[0] for query in queries if "accounts_letter" in query["sql"]])
        assert Letter.objects.count() == ProcrastinateJob.objects.count() == len(costs)
    assert costs[0] == costs[1]


def test_changing_the_password_is_told_with_browser_and_time(client: Client, alice: User) -> None:  # A7
    log_in(client, alice)
    new = {"oldpassword": PASSWORD, "password1": "an-entirely-new-one", "password2": "an-entirely-new-one"}
    client.post("/accounts/password/change/", new, headers={"User-Agent": CHROME})
    (message,) = delivered()
    assert message.subject == "Your Sidekick password was changed"
    assert "Chrome on Mac" in str(message.body)


# New devices


@pytest.fixture
def maya(alice: User) -> User:
    """She has signed in before, in Firefox."""
    log_in(Client(), alice)
    assert delivered() == []
    return alice


def subjects() -> list[str]:
    return [str(message.subject) for message in delivered()]


def test_the_first_session_of_an_account_is_no_news(client: Client) -> None:  # A4
    client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD}, REMOTE_ADDR="203.0.113.9")
    code = Letter.objects.get().text.split("\n    ")[1].split("\n")[0]
    assert client.post("/accounts/confirm-email/", {"code": code}).status_code == 302
    assert DeviceSession.objects.count() == 1
    assert not Letter.objects.filter(template="account/email/new_sign_in").exists()


def test_an_unknown_device_is_told_of(maya: User) -> None:  # A4
    log_in(Client(), maya, CHROME, "198.51.100.4")
    (message,) = delivered()
    assert (message.subject, message.to) == ("New sign-in to your Sidekick account", [maya.email])
    for words in ("Chrome on Mac", "198.51.100.4", "/dashboard/account/sessions"):
        assert words in str(message.body)


@pytest.mark.parametrize(("agent", "ip"), [(FIREFOX, "198.51.100.4"), (CHROME, "203.0.113.7")])
def test_the_same_browser_elsewhere_or_another_one_here_is_a_device_of_its_own(
    maya: User, agent: str, ip: str
) -> None:  # A4
    log_in(Client(), maya, agent, ip)
    assert subjects() == ["New sign-in to your Sidekick account"]


def test_a_device_is_known_by_address_and_browser_or_by_its_cookie(maya: User, client: Client) -> None:  # A4
    log_in(Client(), maya, FIREFOX.replace("132", "140"))
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1
    client.post("/accounts/logout")
    log_in(client, maya, CHROME, "192.0.2.77")
    assert len(subjects()) == 1


def test_the_cookie_speaks_for_the_accounts_that_were_here(maya: User, charlie: User, client: Client) -> None:  # A4
    log_in(Client(), charlie)
    for user in (maya, charlie, maya, charlie):
        client.post("/accounts/logout")
        log_in(client, user, CHROME, "198.51.100.4")
    assert sorted(message.to[0] for message in delivered()) == [maya.email, charlie.email]


@pytest.mark.parametrize("because", known_devices.ENDED_FROM_ELSEWHERE)
def test_a_session_that_was_ended_from_elsewhere_makes_no_device_known(
    maya: User, client: Client, because: DeviceSession.Ended
) -> None:  # A4 A7
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1
    client.cookies.pop("sidekick_access")
    client.cookies.pop("sidekick_refresh")
    DeviceSession.objects.filter(ip="198.51.100.4").end(because)
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 2


def test_a_cookie_that_we_did_not_write_makes_no_device_known(maya: User, client: Client) -> None:  # A4
    session = maya.device_sessions.get()
    client.cookies[known_devices.COOKIE] = signing.dumps([session.id.hex], salt="another")
    log_in(client, maya, CHROME, "198.51.100.4")
    assert len(subjects()) == 1


def test_api_clients_are_told_of_too(maya: User, client: Client) -> None:  # A8
    for ip in ("198.51.100.4", "198.51.100.4", "198.51.100.5"):
        answer = client.post(
            "/api/v1/auth/token",
            {"email": maya.email, "password": PASSWORD},
            content_type="application/json",
            headers={"User-Agent": "Sidekick/2.1 (Windows)"},
            REMOTE_ADDR=ip,
        )
        assert answer.status_code == 200
    assert len(subjects()) == 2


def test_refreshing_the_token_is_no_sign_in(client: Client, maya: User, pass_time: PassTime) -> None:  # A2
    log_in(client, maya, CHROME, "198.51.100.4")
    delivered().clear()
    pass_time(minutes=6)
    client.get("/dashboard/credits", headers={"User-Agent": FIREFOX}, REMOTE_ADDR="192.0.2.200")
    assert delivered() == []


def test_another_account_is_another_matter(db: None) -> None:
    """Devices are known for one account at a time, addresses are not."""
    alice, bob = make_user("alice@example.com"), make_user("bob@example.com")
    log_in(Client(), alice)
    log_in(Client(), bob)
    assert subjects() == []
    log_in(Client(), bob, CHROME)
    assert [message.to for message in delivered()] == [[bob.email]]
