"""The audit finds every way in which the books can be wrong."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from credits.ledger import grants, periods
from credits.ledger.audit import differences
from credits.models import Grant, Plan
from credits.usage import recording
from sidekick.accounts.models import User
from tests.credits.books import NOW, assert_books_balance, event, use

pytestmark = pytest.mark.django_db


@pytest.fixture
def books(alice: User, charlie: User) -> None:
    """Alice has grants of every kind, two closed periods and usage in each; charlie owes something."""
    start = NOW - timedelta(days=31)
    grants.grant(alice.id, Decimal(9), kind=Grant.Kind.COURTESY, source_key="sorry", now=start)
    grants.grant(alice.id, Decimal(7), kind=Grant.Kind.PURCHASED, source_key="txn_1", now=start)
    use(alice, 3, now=start)
    for key, begin in (("txn_2", start), ("txn_3", NOW - timedelta(days=1))):
        pro = Plan.objects.get(slug="pro")
        end = begin + timedelta(days=30)
        periods.open_paid(alice.id, plan=pro, starts_at=begin, ends_at=end, source_key=key, now=begin)
    use(alice, 30)
    bought = Grant.objects.get(source_key="txn_1")
    for key, verb in (("adj", grants.void), ("rev", grants.restore)):
        verb(bought, Decimal(5), source_key=key, reason="chargeback", now=NOW)
    use(alice, 2, at=start + timedelta(days=1))
    recording.record([event(alice, "req", model="gpt-5"), event(charlie, "req", output_tokens=1_000_000)], now=NOW)


def tamper(statement: str) -> None:
    with connection.cursor() as cursor:
        # Foreign keys checked at commit would stand in the way of ALTER TABLE.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(statement)
        assert cursor.rowcount != 0


def test_good_books_balance(books: None) -> None:  # M11
    assert_books_balance()
    out = StringIO()
    call_command("audit_credits", stdout=out)
    assert "2 accounts balance" in out.getvalue()


CORRUPTIONS = {
    "a rollup's credits": ("rollups", "UPDATE credits_usagerollup SET credits = credits + 0.000001 WHERE grain = 15"),
    "a rollup's requests": ("rollups", "UPDATE credits_usagerollup SET requests = requests + 1 WHERE grain = 1440"),
    "a rollup's tokens": ("rollups", "UPDATE credits_usagerollup SET cache_write_tokens = 1"),
    "a rollup that is missing": ("rollups", "DELETE FROM credits_usagerollup WHERE grain = 1440"),
    "a rollup too many": (
        "rollups",
        (
            "INSERT INTO credits_usagerollup SELECT bucket + interval '9 years', account_id, grain, requests,"
            " input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, credits, model_id"
            " FROM credits_usagerollup WHERE grain = 15"
        ),
    ),
    "a request that is missing": ("balance", "DELETE FROM credits_usageevent WHERE request_id = 'req'"),
    "a request's credits": ("balance", "UPDATE credits_usageevent SET credits = credits + 1"),
    "a request's time": (
        "periods",
        "UPDATE credits_usageevent SET occurred_at = occurred_at + interval '29 days' WHERE credits = 2",
    ),
    "a grant's remaining": ("balance", "UPDATE credits_grant SET remaining = remaining - 1 WHERE remaining > 0"),
    "a bought grant's remaining": ("balance", "UPDATE credits_grant SET remaining = 6 WHERE kind = 3"),
    "a grant's withdrawn": (
        "balance",
        "UPDATE credits_grant SET withdrawn = withdrawn + 1 WHERE kind = 0",
    ),
    "a grant without a line": (
        "grants",
        (
            "INSERT INTO credits_grant (account_id, kind, amount, remaining, withdrawn, source_key, created_at)"
            " SELECT account_id, 3, 5, 0, 5, 'forged', now() FROM credits_wallet"
        ),
    ),
    "a line without a grant": (
        "balance",
        (
            "INSERT INTO credits_ledgerentry (account_id, kind, amount, source_key, reason, created_at)"
            " SELECT account_id, 'voided', -5, 'forged', '', now() FROM credits_wallet"
        ),
    ),
    "a bought grant's withdrawn": (
        "grants",
        "UPDATE credits_grant SET withdrawn = withdrawn + 1, remaining = remaining - 1 WHERE kind = 3",
    ),
    "a line of credits restored that were not": (
        "balance",
        (
            "INSERT INTO credits_ledgerentry (account_id, kind, amount, grant_id, source_key, reason, created_at)"
            " SELECT account_id, 'restored', 5, id, 'forged', '', now() FROM credits_grant WHERE source_key = 'txn_1'"
        ),
    ),
    "credits restored that were never taken": (
        "grants",
        (
            "WITH forged AS (INSERT INTO credits_ledgerentry (account_id, kind, amount, grant_id, source_key, reason,"
            " created_at) SELECT account_id, k, a, id, 'forged ' || a, '', now() FROM credits_grant, (VALUES"
            " ('restored', 5), ('forfeited', -5)) AS v(k, a) WHERE source_key = 'txn_1')"
            " UPDATE credits_grant SET created_at = created_at"
        ),
    ),
    "a clock that is late": ("clock", "UPDATE credits_wallet SET due_at = due_at + interval '1 second'"),
    "a clock that stands": ("clock", "UPDATE credits_wallet SET due_at = NULL"),
    "a hold for no model": (
        "models",
        (
            "INSERT INTO credits_hold (id, account_id, request_id, model_id, input_tokens, max_output_tokens, amount,"
            " state, created_at, expires_at, ended_at) SELECT gen_random_uuid(), account_id, 'forged', 0, 1, 1, 1,"
            " 'released', now(), now(), now() FROM credits_wallet"
        ),
    ),
    "usage of no model": ("models", "UPDATE credits_usagerollup SET model_id = -model_id"),
    "a debt forgiven": ("balance", "UPDATE credits_wallet SET debt = 0 WHERE debt > 0"),
    "a debt invented": ("balance", "UPDATE credits_wallet SET debt = debt + 1"),
    "what a period used": ("periods", "UPDATE credits_creditperiod SET used = used + 1 WHERE closed_at IS NULL"),
    "what a closed period used": ("periods", "UPDATE credits_creditperiod SET used = used + 1 WHERE used > 0"),
    "what a period drew": ("balance", "UPDATE credits_creditperiod SET plan_used = plan_used + 1"),
    "what a closed period drew": ("balance", "UPDATE credits_creditperiod SET additional_used = 1"),
    "what a period drew from another kind": (
        "balance",
        "UPDATE credits_creditperiod SET additional_used = additional_used + 1, courtesy_used = courtesy_used - 1",
    ),
    "a period's allocation": ("periods", "UPDATE credits_creditperiod SET allocation = allocation + 1"),
    "a period's rollover": ("periods", "UPDATE credits_creditperiod SET rollover = rollover + 1"),
    "no open period": ("periods", "UPDATE credits_creditperiod SET closed_at = now()"),
    "a later period that is closed": (
        "periods",
        (
            "INSERT INTO credits_creditperiod (account_id, plan_id, allocation, rollover, used, plan_used,"
            " additional_used, courtesy_used, starts_at, ends_at, anchor, closed_at) SELECT account_id, plan_id,"
            " 0, 0, 0, 0, 0, 0, now() + interval '9 years', now() + interval '10 years', anchor, now()"
            " FROM credits_creditperiod WHERE closed_at IS NULL"
        ),
    ),
    "credits left in a closed period": (
        "periods",
        (
            "UPDATE credits_grant g SET remaining = 1, withdrawn = withdrawn - 1 FROM credits_creditperiod p"
            " WHERE p.id = g.period_id AND p.closed_at IS NOT NULL AND g.withdrawn >= 1"
        ),
    ),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_every_corruption_is_found_and_named(books: None, what: str) -> None:  # M11
    check, statement = CORRUPTIONS[what]
    tamper(statement)
    assert check in {difference.check for difference in differences()}
    out = StringIO()
    with pytest.raises(CommandError, match="difference"):
        call_command("audit_credits", stdout=out)
    assert f" {check}: " in out.getvalue()


def test_the_differences_name_the_account_and_the_figures(books: None, alice: User, charlie: User) -> None:  # M11
    tamper(f"UPDATE credits_wallet SET debt = 250.024 WHERE account_id = '{charlie.id}'")
    [difference] = differences()
    assert (difference.check, difference.account_id) == ("balance", charlie.id)
    assert "250.024" in difference.detail
    assert list(differences(alice.id)) == []
    assert list(differences(charlie.id)) == [difference]


def test_the_command_can_look_at_one_account(books: None, alice: User, charlie: User) -> None:  # M11
    tamper(f"UPDATE credits_creditperiod SET used = 0 WHERE account_id = '{charlie.id}'")
    out = StringIO()
    call_command("audit_credits", account=alice.email, stdout=out)
    assert "1 accounts balance" in out.getvalue()
    with pytest.raises(CommandError, match="1 difference"):
        call_command("audit_credits", account=str(charlie.id), stdout=out)
    assert str(charlie.id) in out.getvalue()
    with pytest.raises(CommandError, match="no account"):
        call_command("audit_credits", account="nobody@example.com", stdout=out)


def test_usage_and_grants_of_an_account_without_a_wallet_are_found(books: None, charlie: User) -> None:  # M11
    tamper(f"DELETE FROM credits_wallet WHERE account_id = '{charlie.id}'")
    assert charlie.id in {difference.account_id for difference in differences()}


def test_an_empty_database_balances(db: None) -> None:
    assert_books_balance()
