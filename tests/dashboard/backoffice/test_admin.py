"""The operators' admin as a whole: nothing is deleted, each act has a reason, rights hold, lists stay cheap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import PaddleEvent
from dashboard.backoffice.site import GROUPS, OperatorSite
from sidekick.accounts.models import User
from sidekick.admin.base import OperatorAdmin, ReadOnlyAdmin
from sidekick.admin.filters import BoundedPaginator
from sidekick.admin.reasons import ReasonedAdmin
from tests.conftest import make_user
from tests.dashboard.backoffice import rows

pytestmark = pytest.mark.django_db
SignIn = Callable[[Client, User], None]
TABLES = {model._meta.label: model_admin for model, model_admin in admin.site._registry.items()}
every_table = pytest.mark.parametrize("label", TABLES)


@pytest.fixture
def operator(client: Client, sign_in: SignIn, db: None) -> User:
    user = make_user("operator@example.com", is_staff=True, is_superuser=True)
    sign_in(client, user)
    return user


def address(label: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{page}", args=[quote(arg) for arg in args])


def asked_by(user: User) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = user
    return request


@every_table
def test_nothing_is_deleted_and_nothing_is_saved_without_a_reason(label: str, operator: User) -> None:  # O1
    model_admin, request = TABLES[label], asked_by(operator)
    assert isinstance(model_admin, ReadOnlyAdmin | ReasonedAdmin)
    assert not model_admin.has_delete_permission(request)
    assert not model_admin.list_editable
    if isinstance(model_admin, ReadOnlyAdmin):
        assert not model_admin.has_add_permission(request)
        assert not model_admin.has_change_permission(request)
    else:
        assert model_admin.form.base_fields["reason"].required
    for inline in model_admin.get_inline_instances(request):
        assert not (inline.can_delete and inline.has_delete_permission(request, None))
    assert "delete_selected" not in model_admin.get_actions(request)


@every_table
def test_every_action_asks_why_before_anything_happens(client: Client, label: str, operator: User) -> None:  # O1
    model_admin = TABLES[label]
    row = rows.make(label, 1)[0]
    for action in model_admin.get_actions(asked_by(operator)):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = client.post(address(label), {"action": action, "_selected_action": [str(row.pk)]})
        assert 'name="reason"' in answer.content.decode(), action
        assert not [q["sql"] for q in queries if q["sql"].startswith(("UPDATE", "INSERT", "DELETE"))], action
    assert LogEntry.objects.count() == (label == "admin.LogEntry")


@every_table
def test_a_list_costs_the_same_however_many_rows_it_shows(client: Client, label: str, operator: User) -> None:  # O1
    rows.make(label, 2)
    client.get(address(label))
    with CaptureQueriesContext(connection) as few:
        assert client.get(address(label)).status_code == 200
    rows.make(label, 10, first=3)
    with CaptureQueriesContext(connection) as many:
        assert client.get(address(label)).status_code == 200
    assert len(many) == len(few) <= 9, [q["sql"][:200] for q in many]


@every_table
def test_no_list_counts_or_reads_usage(client: Client, label: str, operator: User) -> None:  # O1
    with CaptureQueriesContext(connection) as queries:
        client.get(address(label), {"q": "alice@example.com"})
    assert not [q for q in queries if "credits_usage" in q["sql"]]


@every_table
def test_every_page_opens_and_finds_by_email_and_id(client: Client, label: str, operator: User) -> None:  # O1
    made = rows.make(label, 2)
    page = client.get(address(label, "change", made[0].pk))
    assert page.status_code == 200
    assert "do-not-show" not in page.content.decode()
    assert client.get(address(label, "history", made[0].pk)).status_code == 200
    of_account = getattr(made[0], "account", None) or getattr(made[0], "user", None)
    if of_account and TABLES[label].search_fields:
        for wanted in (of_account.email, str(of_account.pk)):
            listed = client.get(address(label), {"q": wanted}).content.decode()
            assert address(label, "change", made[0].pk) in listed, wanted
            assert address(label, "change", made[1].pk) not in listed, wanted


def test_a_whole_id_is_looked_up_by_its_index(client: Client, operator: User) -> None:  # O1
    payment = rows.make("billing.Transaction", 1)[0]
    for wanted in (payment.id, payment.customer_id, str(payment.account_id)):
        with CaptureQueriesContext(connection) as queries:
            listed = client.get(address("billing.Transaction"), {"q": wanted}).content.decode()
        assert address("billing.Transaction", "change", payment.pk) in listed
        assert not [q["sql"] for q in queries if "UPPER(" in q["sql"]]


@every_table
def test_who_has_no_right_sees_nothing_and_does_nothing(client: Client, label: str, sign_in: SignIn) -> None:  # O1
    row = rows.make(label, 1)[0]
    sign_in(client, make_user("clerk@example.com", is_staff=True))
    assert client.get(address(label)).status_code == 403
    assert client.get(address(label, "change", row.pk)).status_code == 403
    assert client.post(address(label, "change", row.pk), {"reason": "Let me."}).status_code == 403
    if isinstance(TABLES[label], ReasonedAdmin):
        assert client.post(address(label, "add"), {"reason": "Let me."}).status_code == 403


@every_table
def test_who_may_only_look_finds_no_button(client: Client, label: str, sign_in: SignIn) -> None:  # O1
    row = rows.make(label, 1)[0]
    app, model = label.lower().split(".")
    reader = make_user("reader@example.com", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(content_type__app_label=app, codename=f"view_{model}"))
    sign_in(client, reader)
    page = client.get(address(label, "change", row.pk))
    assert page.status_code == 200
    for button in ('name="action"', 'name="_save"', 'name="reason"', "Give courtesy", "Take back"):
        if label == "feedback.Report" and button == 'name="action"':
            continue
        assert button not in page.content.decode(), button
    assert client.post(address(label, "change", row.pk), {"reason": "Let me."}).status_code == 403


def test_every_table_has_its_place_on_the_index() -> None:  # O1
    assert {label for tables in GROUPS.values() for label in tables} == set(TABLES)


def test_the_index_is_ordered_by_what_one_does(client: Client, operator: User) -> None:  # O1
    page = client.get("/admin/").content.decode()
    places = [
        page.index(f">{name}</a>")
        for name in ("Accounts", "Ledger", "Waiting payments", "Reports", "Jobs of the worker")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("path", ["/admin/", "/admin/find?q=alice@example.com", "/admin/accounts/user/"])
def test_customers_and_strangers_are_sent_to_sign_in(client: Client, sign_in: SignIn, alice: User, path: str) -> None:
    assert client.get(path)["Location"].startswith("/admin/login/")
    sign_in(client, alice)
    assert client.get(path).status_code == 302


@pytest.mark.parametrize(
    "label",
    [
        "accounts.User", "accounts.DeviceSession", "accounts.Letter", "billing.Purchase", "billing.Transaction",
        "billing.Subscription", "billing.Customer", "billing.Adjustment", "billing.PaddleEvent", "feedback.Report",
    ],
)  # fmt: skip
def test_the_box_finds_anything_by_its_id(client: Client, operator: User, label: str) -> None:  # O1
    row = rows.make(label, 1)[0]
    wanted = getattr(row, "id", row.pk)
    assert client.get("/admin/find", {"q": f" {wanted} "})["Location"] == address(label, "change", row.pk)


def test_the_box_finds_emails_references_and_keys(client: Client, operator: User, alice: User) -> None:  # O1
    report, grant = rows.report(1, alice), rows.grant(1, alice)
    for wanted, row in (("ALICE@example.com", alice), (report.reference.lower(), report), (grant.source_key, grant)):
        answer = client.get("/admin/find", {"q": wanted})
        assert answer["Location"] == address(row._meta.label, "change", row.pk)


@pytest.mark.parametrize("wanted", ["nobody@example.com", "txn_x", "BUG-99999999999999999999", "<script>", "%"])
def test_what_is_not_there_is_said_so(client: Client, operator: User, wanted: str) -> None:  # O1
    answer = client.get("/admin/find", {"q": wanted})
    assert answer.status_code == 404
    assert "<script>”" not in answer.content.decode()


def test_the_box_tells_nothing_to_who_may_not_see_it(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    sign_in(client, make_user("clerk@example.com", is_staff=True))
    assert client.get("/admin/find", {"q": alice.email}).status_code == 404
    assert client.get("/admin/find", {"q": "nobody@example.com"}).status_code == 404


def test_the_summary_shows_what_one_may_see(client: Client, sign_in: SignIn, alice: User) -> None:  # O1
    reader = make_user("reader@example.com", is_staff=True)
    sign_in(client, reader)
    reader.user_permissions.set(Permission.objects.filter(codename="view_user"))
    page = client.get(address("accounts.User", "change", alice.pk)).content.decode()
    assert "Available" not in page
    reader.user_permissions.add(Permission.objects.get(codename="view_creditperiod"))
    page = client.get(address("accounts.User", "change", alice.pk)).content.decode()
    assert "Available" in page
    assert "50.00" in page


def test_a_log_line_can_be_neither_changed_nor_deleted(client: Client, operator: User, alice: User) -> None:  # O1
    entry = rows.log_entry(1, alice)
    page = address("admin.LogEntry", "change", entry.pk)
    assert "Suspend: why not." in client.get(page).content.decode()
    assert client.post(page, {"change_message": "Nothing."}).status_code == 403
    assert client.post(address("admin.LogEntry", "delete", entry.pk), {"post": "yes"}).status_code == 403
    assert LogEntry.objects.get().change_message == "Suspend: why not."


def test_a_list_counts_no_further_than_anybody_turns_pages(monkeypatch: pytest.MonkeyPatch, alice: User) -> None:
    monkeypatch.setattr(BoundedPaginator, "MOST", 3)
    for number in range(1, 6):
        rows.paddle_event(number, alice)
    assert BoundedPaginator(PaddleEvent.objects.all(), 2).num_pages == 2


def test_pages_of_other_peoples_apps_stay_out() -> None:  # O1
    class Careless(admin.ModelAdmin):  # type: ignore[type-arg]
        """A third-party page that changes and deletes without a reason."""

    site = OperatorSite("probe")
    site.register(User, Careless)
    assert not site.is_registered(User)
    site.register(User, OperatorAdmin)
    assert site.is_registered(User)


def test_numbers_of_dates_read_like_the_house(client: Client, operator: User) -> None:  # O1
    rows.make("billing.Transaction", 1)
    assert "10 May 2026, 12:00" in client.get(address("billing.Transaction")).content.decode()


def save(client: Client, path: str, **fields: Any) -> str:
    return client.post(path, fields, follow=True).content.decode()


def test_a_change_without_a_reason_is_refused_and_keeps_what_was_typed(client: Client, operator: User) -> None:  # O1
    page = address("credits.Plan", "change", "pro")
    fields = {"name": "Professional", "position": 3, "monthly_credits": 1000, "rollover_percent": 100}
    refused = save(client, page, **fields)
    assert "This field is required." in refused
    assert 'value="Professional"' in refused
    assert not LogEntry.objects.exists()
    save(client, page, **fields, reason="A nicer word.")
    assert LogEntry.objects.get().get_change_message().endswith(" A nicer word.")
