"""Every form that posts carries the account it was drawn for, ours as well as allauth's and the admin's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib import admin
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import DjangoAssertNumQueries

from sidekick.accounts.models import User
from sidekick.accounts.stamps.stamp import VISITOR, stamp_of
from tests.conftest import PASSWORD
from tests.test_house import ROOT

SignIn = Callable[[Client, User], None]
FORM = re.compile(r'<form\b[^>]*method="post".*?</form>', re.DOTALL)
STAMP = re.compile(r'name="account_stamp" value="(\w*)"')
META = re.compile(r'<meta name="sidekick-account" content="(\w*)" data-csrf-cookie="csrftoken">')
# It acts for the account of its link, whoever is signed in.
NO_STAMP = {"templates/credits/stop_balance_emails.html"}


def addresses(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, path)
        elif isinstance(pattern, URLPattern) and not re.search(r"[<(^$\\]", path):
            yield path


# Development's pages stand for nobody, the API's are for programs.
PATHS = sorted(path for path in set(addresses(get_resolver())) if not path.startswith(("/dev/", "/api/v1/")))


def forms_at(client: Client, paths: list[str], stamp: str) -> int:
    """Check each form and each page, and return how many forms there were."""
    count = 0
    for path in paths:
        response = client.get(path)
        assert response.status_code < 500, path
        html = "" if response.streaming else response.content.decode(errors="replace")
        if "<html" not in html:
            continue
        # An error page sends nothing.
        assert META.findall(html) == ([] if 'class="fault-code"' in html else [stamp]), path
        for form in FORM.findall(html):
            assert STAMP.findall(form) == [stamp], f"{path}: {form[:200]}"
            count += 1
        assert html.count('method="post"') == len(FORM.findall(html)), path
    return count


@pytest.mark.django_db
def test_visitors_forms_are_nobodys(client: Client) -> None:
    assert forms_at(client, PATHS, VISITOR) > 15


@pytest.mark.django_db
@pytest.mark.parametrize("factors", [True, False])
def test_a_customers_forms_are_theirs(client: Client, alice: User, sign_in: SignIn, factors: bool) -> None:
    if factors:
        Authenticator.objects.create(user=alice, type="totp", data={"secret": ""})
        RecoveryCodes.activate(alice)
    sign_in(client, alice)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert forms_at(client, PATHS, stamp_of(alice)) > 40


@pytest.mark.django_db
def test_an_operators_forms_are_theirs(client: Client, alice: User, sign_in: SignIn) -> None:
    User.objects.filter(id=alice.id).update(is_staff=True, is_superuser=True)
    sign_in(client, alice)
    rows = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    paths = [*rows, *(f"{row}add/" for row in rows), f"/admin/accounts/user/{alice.id}/change/"]
    assert forms_at(client, [path for path in PATHS if path.startswith("/admin")] + paths, stamp_of(alice)) > 60


def test_every_template_of_ours_takes_the_tag() -> None:
    posting = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "templates").rglob("*.html")
        if 'method="post"' in path.read_text() and "{% csrf_token %}" not in path.read_text()
    }
    assert posting == NO_STAMP | {"templates/allauth/elements/form.html"} & posting


def test_a_form_of_many_draws_one_stamp_without_a_query(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = RequestFactory().get("/")
    request.user = alice
    form = Template("{% csrf_token %}" * 20)
    with django_assert_num_queries(0):
        html = form.render(Context({"request": request, "csrf_token": "t"}))
    assert STAMP.findall(html) == [stamp_of(alice)] * 20


def test_without_a_request_there_is_no_form_of_ours() -> None:
    assert Template("{% csrf_token %}{% account_meta %}").render(Context({"csrf_token": "t"})).count("<input") == 1
