"""Sentences about an import, for the operator who runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from django.db.models import Sum

from credits.models import Grant
from credits.prices import in_credits
from credits.usage.files.checking import Checked
from credits.usage.files.fields import FIELDS, Fields
from credits.usage.files.parsing.lines import join_numbers
from credits.usage.importing import ImportResult
from sidekick.accounts.models import User

FEW = 3


def counts(result: ImportResult, unit: str) -> str:
    parts = [f"{result.accepted:,} added", f"{result.duplicates:,} known already", f"{len(result.bad):,} bad {unit}s"]
    if result.early:
        parts.append(f"{result.early:,} left out as from before sign-up")
    if result.passed:
        parts.append(f"{result.passed:,} without a request")
    return f"{', '.join(parts)}."


def bad(result: ImportResult, unit: str) -> Iterator[str]:
    """Yield the bad lines with their reasons; more than `FEW` with the same reason are one sentence."""
    for why, lines in groupby(result.bad, key=itemgetter(1)):
        numbers = [number for number, _ in lines]
        for together in [numbers] if len(numbers) > FEW else ([number] for number in numbers):
            # All of them: no line is left out in silence.
            yield f"{unit}{'s' if len(together) > 1 else ''} {join_numbers(together, most=len(together))}: {why}"


def equal(result: ImportResult, unit: str) -> str:
    """Returns a warning about lines that are known by their content alone."""
    if not result.accepted:
        # No command is offered: it would charge a file that was loaded before once more.
        return f"Without request ids, and all equal to what was loaded before: {_named(unit, result.equal)}."
    numbers = join_numbers(result.equal)
    option = "NUMBERS" if "more" in numbers else numbers.replace(" ", "")
    return (
        f"Without request ids, and equal to what was loaded before: {_named(unit, result.equal)}. Nothing was added "
        "for them. If they are other requests, and not the same usage loaded again, load them with "
        f"--only-lines {option} --file-id NAME."
    )


def early(checked: Checked, unit: str) -> str:
    """Returns how many lines are from before their account signed up, and what can be done with them."""
    total = sum(len(found.numbers) for found in checked.early.values())
    accounts = "".join(
        f"\n  {email} signed up at {found.signed_up:%Y-%m-%d %H:%M} UTC: {_named(unit, found.numbers)}"
        for email, found in sorted(checked.early.items())
    )
    return (
        f"{total:,} {unit}{'s are' if total > 1 else ' is'} from before the account signed up:{accounts}\n"
        "--before-sign-up=skip leaves them out. --before-sign-up=charge takes their credits from what the account has "
        "now, and the rest becomes debt."
    )


def credits(totals: Mapping[str, list[int]]) -> Iterator[str]:
    """Yield what each account would use, and has now, most credits first."""
    emails = dict(User.objects.filter(id__in=list(totals)).values_list("id", "email"))
    grants = Grant.objects.filter(account_id__in=list(emails), remaining__gt=0).values("account_id")
    left = {row["account_id"]: row["left"] for row in grants.annotate(left=Sum("remaining"))}
    used = {account: totals[str(account)] for account in emails}
    for account, (requests, micro) in sorted(used.items(), key=lambda item: -item[1][1]):
        yield (
            f"{emails[account]}: {requests:,} request{'s' * (requests != 1)}, {in_credits(micro):,.6f} credits; "
            f"it has {left.get(account, 0):,.6f} now."
        )


def _named(unit: str, numbers: list[int]) -> str:
    return f"{unit}{'s' if len(numbers) > 1 else ''} {join_numbers(numbers)}"


def unread(checked: Checked, fields: Fields) -> str:
    """Returns the columns that hold no field; nothing where all do."""
    read = {column for name in FIELDS if name not in fields.constants for part in fields.parts(name) for column in part}
    return ", ".join(column for column in checked.present if column and column not in read)
