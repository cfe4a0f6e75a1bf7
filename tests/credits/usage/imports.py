"""Running `import_usage` in tests."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from credits.models import UsageEvent


def load(path: Path, *arguments: str) -> tuple[str, str]:
    """Run the command, which must succeed. Returns its output and its complaints."""
    out, err = io.StringIO(), io.StringIO()
    call_command("import_usage", str(path), *arguments, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip()


def load_with_bad_lines(path: Path, *arguments: str) -> tuple[str, list[str]]:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError, match=r"Some \w+ (were not|would not be) loaded"):
        call_command("import_usage", str(path), *arguments, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue().strip().splitlines()


def refused(path: Path, *arguments: str) -> str:
    """Run the command, which must refuse before anything is loaded. Returns its reason."""
    before = UsageEvent.objects.count()
    with pytest.raises(CommandError) as error:
        load(path, *arguments)
    assert UsageEvent.objects.count() == before
    return str(error.value)


def used() -> Decimal:
    total: Decimal = UsageEvent.objects.aggregate(total=Sum("credits", default=Decimal(0)))["total"]
    return total


def tokens() -> list[tuple[int, ...]]:
    """The input, output, cache read and cache write tokens of each request, in the order of their time."""
    columns = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return list(UsageEvent.objects.order_by("occurred_at", "request_id").values_list(*columns))
