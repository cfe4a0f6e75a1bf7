from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from sidekick.accounts import device_sessions
from sidekick.accounts.models import ServiceKey, User
from tests.sidekick.accounts.api.test_views import get, refused
from tests.sidekick.accounts.test_tokens import HERE

pytestmark = pytest.mark.urls("tests.sidekick.accounts.urls")


def create(name: str, *options: str) -> str:
    output = StringIO()
    call_command("create_service_key", name, *options, stdout=output)
    return output.getvalue()


def test_key_is_printed_once_as_the_last_line_and_only_its_hash_is_kept() -> None:
    output = create("backend")
    secret = output.splitlines()[-1]
    assert re.fullmatch(r"sk_[\w-]{43}", secret)
    assert output.count(secret) == 1
    key = ServiceKey.objects.values().get()
    assert secret not in str(key)
    assert sorted(key["scopes"]) == ["credits:read", "holds:write", "usage:write"]


def test_a_name_that_is_taken_too_long_or_invisible_is_refused() -> None:
    create("backend")
    with pytest.raises(CommandError, match="already"):
        create("backend")
    for name in ("x" * 101, "", "\u200b\u00ad"):
        with pytest.raises(CommandError, match="1 to 100"):
            create(name)
    with pytest.raises(CommandError, match="invalid choice"):
        create("other", "--scopes", "everything")


def test_key_opens_what_its_scopes_allow(client: Client, django_assert_num_queries: Any) -> None:
    secret = create("reader", "--scopes", "credits:read").splitlines()[-1]
    assert refused(get(client, secret, "backend"), 403, "missing_scope")
    with django_assert_num_queries(1):
        assert get(client, secret, "both").json() == {"user": "AnonymousUser", "auth": "reader"}
    writer = create("writer", "--scopes", "usage:write").splitlines()[-1]
    assert get(client, writer, "backend").json() == {"key": "writer"}
    assert refused(get(client, writer, "both"), 403, "missing_scope")


def test_keys_and_access_tokens_open_different_doors(client: Client, alice: User) -> None:
    access = device_sessions.start(alice, **HERE).access
    secret = create("backend").splitlines()[-1]
    assert get(client, access, "both").json()["user"] == alice.email
    assert refused(get(client, access, "backend"), 401, "not_authenticated")
    assert refused(get(client, secret, "customers"), 401, "not_authenticated")


def test_unknown_and_revoked_keys_are_refused(client: Client) -> None:
    secret = create("backend").splitlines()[-1]
    assert refused(get(client, "sk_" + "x" * 43, "backend"), 401, "invalid_key")
    assert refused(get(client, "sk_\u00e9", "backend"), 401, "invalid_key")
    call_command("revoke_service_key", "backend", stdout=StringIO())
    assert refused(get(client, secret, "backend"), 401, "invalid_key")
    with pytest.raises(CommandError, match="no service key"):
        call_command("revoke_service_key", "backend")
