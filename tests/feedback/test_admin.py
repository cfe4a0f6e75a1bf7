"""Operators read, answer, export and forward reports, and each act is logged with its reason (F6, O1)."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from pytest_django import Settings

from feedback import triage, webhook
from feedback.models import Delivery, Report
from sidekick.accounts.models import Letter, User
from tests.conftest import make_user
from tests.feedback.conftest import NOW, SignIn
from tests.feedback.reports import made

pytestmark = pytest.mark.django_db
LIST = "/admin/feedback/report/"


def references(client: Client, query: str) -> list[str]:
    response = client.get(f"{LIST}?{query}")
    assert response.status_code == 200
    return re.findall(r'<th class="field-reference">.*?>([A-Z]+-\d+)<', response.content.decode())


def page_of(report: Report) -> str:
    return f"{LIST}{report.pk}/change/"


def filled(client: Client, report: Report) -> dict[str, str]:
    """The form of a report's page as a browser would send it back."""
    html = client.get(page_of(report)).content.decode()
    hidden = re.findall(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?', html)
    data = {name: unescape(value) for name, value in hidden}
    for name in ("reply", "note"):
        text = re.search(rf'<textarea name="{name}".*?>\n(.*?)</textarea>', html, re.S)
        assert text
        data[name] = unescape(text[1])
    chosen = re.search(r'<option value="([a-z_]+)" selected>', html)
    assert chosen
    return {**data, "status": chosen[1], "initial-status": chosen[1]}


def act(client: Client, action: str, *reports: Report, across: bool = False, query: str = "", **form: Any) -> Any:
    data = {"action": action, "_selected_action": [report.pk for report in reports], "select_across": int(across)}
    return client.post(f"{LIST}?{query}", {**data, **form})


def test_the_list_finds_by_email_reference_title_and_ids(backoffice: Client, alice: User, charlie: User) -> None:  # F6
    bug, wish = made(alice, title="Chart is empty"), made(charlie, kind="feature", title="Dark chart")
    for query, found in {
        "alice@example.com": [bug],
        bug.reference: [bug],
        wish.reference.lower(): [wish],
        f"idea {wish.number}": [wish],
        "dark": [wish],
        str(bug.id): [bug],
        str(charlie.id): [wish],
        "BUG-99999999999999": [],
        "nobody": [],
    }.items():
        assert references(backoffice, f"q={query}") == [report.reference for report in found], query


def test_the_list_is_filtered(backoffice: Client, alice: User, olga: User, settings: Settings) -> None:  # F6
    plain = made(alice)
    settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET = "http://127.0.0.1:9", "secret"
    pictured = made(alice, kind="feature", priority="high", pictured=1)
    triage.answer(pictured.pk, status="planned", by=olga, reason="Yes", now=timezone.now())
    for query in ("status__exact=planned", "kind__exact=feature", "priority__exact=high", "images=yes",
                  "forwarding=waits"):  # fmt: skip
        assert references(backoffice, query) == [pictured.reference], query
    assert references(backoffice, "images=no") == [plain.reference]
    assert references(backoffice, "forwarding=failed") == []
    Delivery.objects.update(error="answered 500")
    assert references(backoffice, "forwarding=failed") == [pictured.reference]


def test_the_list_costs_no_query_per_report(backoffice: Client, alice: User, charlie: User) -> None:
    costs = []
    for account, count in ((alice, 1), (charlie, 9)):
        for _ in range(count):
            made(account, pictured=1)
        references(backoffice, "")
        with CaptureQueriesContext(connection) as queries:
            references(backoffice, "")
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_a_page_shows_words_images_and_history_and_runs_none_of_it(backoffice: Client, alice: User) -> None:  # F6
    report = made(alice, title="<script>x</script>", description="One\nTwo <b>bold</b>", pictured=2, browser="<i>Fox")
    html = backoffice.get(page_of(report)).content.decode()
    assert html.count('height="120"') == 2
    assert "<p>One<br>Two &lt;b&gt;bold&lt;/b&gt;</p>" in html
    for tag in ("<script>x", "<i>Fox", "<b>bold"):
        assert tag not in html


def test_an_answer_needs_a_reason_and_reaches_the_customer(
    backoffice: Client, alice: User, olga: User
) -> None:  # F4 F6 O1
    report = made(alice)
    form = {**filled(backoffice, report), "status": "planned", "reply": "Soon.\r\nReally.", "note": "Ask Tim"}
    assert backoffice.post(page_of(report), form).status_code == 200
    report.refresh_from_db()
    assert report.status == "new"
    assert backoffice.post(page_of(report), {**form, "reason": "Wanted by many"}).status_code == 302
    report.refresh_from_db()
    assert (report.status, report.reply, report.note) == ("planned", "Soon.\nReally.", "Ask Tim")
    change = report.changes.last()
    assert change
    assert (change.by, change.reason) == (olga, "Wanted by many")
    assert Letter.objects.filter(key=f"feedback:{report.id}:{change.pk}", to="alice@example.com").exists()
    logged = LogEntry.objects.get()
    assert (logged.user, logged.object_id) == (olga, str(report.pk))
    assert "Wanted by many" in logged.change_message


def test_a_note_alone_tells_nobody(backoffice: Client, alice: User) -> None:  # F6
    report = made(alice)
    backoffice.post(page_of(report), {**filled(backoffice, report), "note": "Ask Tim", "reason": "To remember"})
    report.refresh_from_db()
    assert report.note == "Ask Tim"
    assert report.changes.count() == Letter.objects.count() == 1
    assert "To remember" in LogEntry.objects.get().change_message


def test_a_page_that_stood_open_undoes_nothing(backoffice: Client, alice: User, olga: User) -> None:  # F6
    report = made(alice)
    form = filled(backoffice, report)
    triage.answer(report.pk, status="done", reply="Fixed.", by=olga, reason="Shipped", now=timezone.now())
    backoffice.post(page_of(report), {**form, "note": "Ask Tim", "reason": "To remember"})
    report.refresh_from_db()
    assert (report.status, report.reply, report.note) == ("done", "Fixed.", "Ask Tim")


def test_several_are_answered_at_once_with_a_reason(
    backoffice: Client, alice: User, charlie: User, olga: User
) -> None:  # F6
    reports = [made(alice), made(charlie), made(charlie)]
    asked = act(backoffice, "answer", *reports[:2])
    assert "This concerns 2 reports" in asked.content.decode()
    assert act(backoffice, "answer", *reports[:2], status="done", reason="").status_code == 422
    nothing = act(backoffice, "answer", *reports[:2], status="", reply="", reason="Because")
    assert "Choose a status or write a reply." in nothing.content.decode()
    assert not LogEntry.objects.exists()
    assert (
        act(backoffice, "answer", *reports[:2], status="done", reply="Fixed in 2.4", reason="Shipped").status_code
        == 302
    )
    states = list(Report.objects.order_by("number").values_list("status", "reply"))
    assert states == [("done", "Fixed in 2.4"), ("done", "Fixed in 2.4"), ("new", "")]
    assert Letter.objects.filter(subject__endswith="done").count() == 2
    logged = LogEntry.objects.order_by("id")
    assert [(entry.user, entry.change_message) for entry in logged] == [
        (olga, "Answered with others (done, reply): Shipped")
    ] * 2


def test_each_keeps_its_reply_where_none_is_given(backoffice: Client, alice: User, olga: User) -> None:  # F6
    report = made(alice)
    triage.answer(report.pk, reply="Thanks!", by=olga, reason="Polite", now=timezone.now())
    act(backoffice, "answer", report, status="declined", reply="", reason="Out of scope")
    report.refresh_from_db()
    assert (report.status, report.reply) == ("declined", "Thanks!")


def test_export_is_safe_for_spreadsheets_exact_and_logged(backoffice: Client, alice: User, olga: User) -> None:  # F6
    evil = made(
        alice, title="=HYPERLINK(1)", description='+1 "and"\nmore', app_version="@2", page="/dashboard", browser="-x"
    )
    Report.objects.filter(pk=evil.pk).update(reply="\tTab", note="Only ours")
    plain = made(alice, title="1.10 = 2")
    assert act(backoffice, "export_as_csv", evil, plain, reason="").status_code == 422
    response = act(backoffice, "export_as_csv", evil, plain, reason="Monthly look")
    # The file was complete before its first byte was sent.
    assert int(response["Content-Length"]) > 0
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="reports-2026-05-03.csv"'
    rows = list(csv.DictReader(StringIO(b"".join(response).decode(), newline="")))
    assert [row["reference"] for row in rows] == [plain.reference, evil.reference]
    row = rows[1]
    assert row["title"] == "'=HYPERLINK(1)"
    assert row["description"] == '\'+1 "and"\nmore'
    assert (row["app_version"], row["browser"], row["reply"], row["note"]) == ("'@2", "'-x", "'\tTab", "Only ours")
    assert row["page"] == "/dashboard"
    assert row["account_email"] == "alice@example.com"
    assert rows[0]["title"] == "1.10 = 2"
    logged = LogEntry.objects.get()
    assert (logged.user, logged.object_repr) == (olga, "2 reports")
    assert logged.change_message == "Exported as CSV: Monthly look"


def test_all_that_match_are_exported_not_only_the_page(backoffice: Client, alice: User) -> None:  # F6
    reports = [made(alice, priority="high", now=NOW - timedelta(days=60 - n)) for n in range(55)]
    made(alice, priority="low")
    response = act(
        backoffice, "export_as_csv", reports[0], across=True, query="priority__exact=high", reason="Everything urgent"
    )
    assert len(list(csv.reader(StringIO(b"".join(response).decode())))) == 56


def test_what_was_not_delivered_is_forwarded_again_with_a_reason(
    backoffice: Client, alice: User, olga: User, settings: Settings
) -> None:  # F6
    settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET = "http://127.0.0.1:9", "secret"
    report = made(alice)
    Delivery.objects.update(error="answered 500", attempts=9)
    html = backoffice.get(page_of(report)).content.decode()
    assert "answered 500" in html
    assert "Forward to the webhook again" in html
    before = ProcrastinateJob.objects.filter(task_name=webhook.TASK).count()
    response = act(backoffice, "forward_again", report, reason="It is up again")
    assert [str(message) for message in get_messages(response.wsgi_request)] == ["1 changes are forwarded again."]
    assert ProcrastinateJob.objects.filter(task_name=webhook.TASK).count() == before + 1
    assert "It is up again" in LogEntry.objects.get().change_message


def test_nobody_adds_or_deletes_a_report_here(backoffice: Client, alice: User) -> None:  # O1
    report = made(alice)
    assert backoffice.get(f"{LIST}add/").status_code == 403
    assert backoffice.post(f"{LIST}{report.pk}/delete/").status_code == 403


@pytest.mark.parametrize("right", ["view_report", "change_report"])
def test_who_may_see_a_report_sees_its_images_and_its_history(
    alice: User, olga: User, sign_in: SignIn, right: str
) -> None:  # F6
    reader = make_user("rita@example.com", is_staff=True)
    client, report = Client(), made(alice, pictured=1)
    triage.answer(report.pk, status="done", by=olga, reason="Seen by three", now=timezone.now())
    sign_in(client, reader)
    image = report.images.get().get_absolute_url()
    assert client.get(image).status_code == 404
    reader.user_permissions.add(Permission.objects.get(codename=right))
    assert client.get(image).status_code == 200
    assert "Seen by three" in client.get(page_of(report)).content.decode()


def test_who_may_only_look_changes_nothing(alice: User, sign_in: SignIn) -> None:  # O1
    reader = make_user("rita@example.com", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_report"))
    client, report = Client(), made(alice)
    sign_in(client, reader)
    assert client.get(page_of(report)).status_code == 200
    assert client.post(page_of(report), {"status": "done", "reason": "Because"}).status_code == 403
    act(client, "answer", report, status="done", reason="Because")
    act(client, "forward_again", report, reason="Because")
    report.refresh_from_db()
    assert report.status == "new"
    assert not LogEntry.objects.exists()


def test_customers_have_no_desk(browser: Client, alice: User) -> None:
    assert browser.get(LIST).status_code == 302
    assert browser.get(page_of(made(alice))).status_code == 302
