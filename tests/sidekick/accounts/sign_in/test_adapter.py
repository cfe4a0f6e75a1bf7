"""allauth's emails go the way of all emails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from sidekick.accounts.models import Letter, User
from tests.conftest import PASSWORD
from tests.post import delivered

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0"
CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
)


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
    email = Letter.objects.get()
    assert email.account == alice
    assert email.expires_at
    assert timedelta(minutes=9) < email.expires_at - timezone.now() <= timedelta(minutes=10)
    (message,) = delivered()
    assert isinstance(message, EmailMultiAlternatives)
    assert message.alternatives[0][1] == "text/html"


@pytest.mark.parametrize("path", ["/accounts/login/code/", "/accounts/password/reset/"])
def test_an_unknown_address_costs_what_a_known_one_costs(alice: User, path: str) -> None:  # A9
    """Both ways write one email and one job: the same statements, and the worker's part nobody can time."""
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
