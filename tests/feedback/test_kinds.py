"""A third kind of report touches `Report.Kind` alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from feedback import triage, webhook
from feedback.kinds import Wording
from feedback.models import Report
from sidekick.accounts.models import Letter, User
from tests.feedback.reports import BUG, REPORTS, made, post

ROOT = Path(__file__).parents[2]
QUESTION = "/dashboard/feedback/question"


@pytest.fixture
def question(monkeypatch: pytest.MonkeyPatch) -> Report.Kind:
    """A kind that exists for one test, with words of its own."""
    kind = Report.Kind
    wording = Wording(
        prefix="ASK",
        noun="support question",
        icon="info",
        tab="Ask Question",
        title="Ask a question",
        heading="Ask us anything",
        lead="Something is unclear? Ask us.",
        hint="How far did you get?",
        missing="Write your question.",
        button="Submit Question",
        another="Ask another question",
    )
    member = str.__new__(kind, "question")
    member._name_, member._value_, member._label_, member.wording = "QUESTION", "question", "Question", wording
    monkeypatch.setitem(kind._member_map_, "QUESTION", member)
    monkeypatch.setitem(kind._value2member_map_, "question", member)
    monkeypatch.setattr(kind, "_member_names_", [*kind._member_names_, "QUESTION"])
    # A migration would bring the choices of the column.
    monkeypatch.setattr(Report._meta.get_field("kind"), "choices", Report.Kind.choices)
    return member


@pytest.mark.django_db
def test_customers_send_and_follow_a_third_kind(browser: Client, alice: User, question: Report.Kind) -> None:  # F1 F4
    form = browser.get(QUESTION).content.decode()
    for said in (
        "<title>Ask a question ·", "Ask us anything</h2>", "Something is unclear? Ask us.", "How far did you get?",
        "Submit Question</button>",
        f'href="{QUESTION}" hx-get="{QUESTION}" aria-current="page">Ask Question</a>', f'action="{QUESTION}"',
    ):  # fmt: skip
        assert said in form
    assert f'href="{QUESTION}"' in browser.get(BUG).content.decode()
    assert "Ask us anything</a>" in browser.get(REPORTS).content.decode()
    assert "Write your question." in post(browser, QUESTION, description="").content.decode()

    sent = post(browser, QUESTION)
    report = Report.objects.get()
    assert (report.kind, report.reference) == ("question", f"ASK-{report.number}")
    confirmed = browser.get(sent["Location"]).content.decode()
    assert "Thank you, we have your support question" in confirmed
    assert "Ask another question</a>" in confirmed
    assert '<span class="visually-hidden">Question:</span>' in browser.get(REPORTS).content.decode()
    email = Letter.objects.get()
    assert email.subject == f"ASK-{report.number}: we got your support question"
    for body in (email.text, email.html):
        assert "hank you for your support question" in body


@pytest.mark.django_db
def test_operators_find_and_answer_a_third_kind(
    backoffice: Client, alice: User, olga: User, question: Report.Kind, settings: Settings
) -> None:  # F6 O1 O2
    settings.FEEDBACK_WEBHOOK_URL, settings.FEEDBACK_WEBHOOK_SECRET = "https://hooks.example.com/r", "x" * 16
    asked, _ = made(alice, kind="question", title="How?"), made(alice)
    change = triage.answer(asked.pk, reply="Like so.", by=olga, reason="Easy", now=timezone.now())
    assert change
    listed = re.compile(r'<th class="field-reference">.*?>([A-Z]+-\d+)<')
    for query in (f"q={asked.reference}", f"q=ask {asked.number}", "kind__exact=question"):
        assert listed.findall(backoffice.get(f"/admin/feedback/report/?{query}").content.decode()) == [asked.reference]
    page = f"/admin/feedback/report/{asked.pk}/change/"
    assert backoffice.get("/admin/find", {"q": asked.reference})["Location"] == page
    assert "Question reported: " in backoffice.get(f"/admin/accounts/user/{alice.pk}/timeline/").content.decode()
    assert '"kind": "question"' in json.dumps(webhook.event_of(change))
    email = Letter.objects.get(key=f"feedback:{asked.id}:{change.pk}")
    assert f"we replied to your support question {asked.reference}." in email.text
    assert "Your support question has an answer." in email.html


def test_no_other_module_and_no_template_knows_a_kind_by_name() -> None:
    named = re.compile(r"""is_bug|Kind\.(BUG|FEATURE)|["'](bug|feature)["']|bug\||bug report|feature request""", re.I)
    places = [ROOT / room for room in ("sidekick", "credits", "billing", "feedback", "dashboard", "templates")]
    files = [path for place in places for path in place.rglob("*") if path.suffix in {".py", ".html", ".txt"}]
    # Migrations state the choices, and development's sample data is of one kind or another.
    rest = [path for path in files if not {"migrations", "dev"} & set(path.parts) and path.name != "kinds.py"]
    assert len(rest) > 300
    assert [str(path.relative_to(ROOT)) for path in rest if named.search(path.read_text())] == []
