"""The CSV files of the Credits tab as downloads (C7)."""

from __future__ import annotations

from typing import IO

from django.http import FileResponse
from django.http.response import HttpResponseBase

from credits.pages.filters import Filters
from credits.reports import csv_export, usage
from credits.reports.balance import Balance
from credits.reports.history import changes_in

FILES = {"requests", "models", "history"}
# In bytes: a file is read and sent in pieces of this size.
BLOCK = 64 * 1024


class ExportRefused(Exception):
    """The file can't be made now; the message says why and what to do."""


def download(view: str, balance: Balance, filters: Filters) -> HttpResponseBase:
    """The file of one of `FILES`, made within the reader's transaction. Raises `ExportRefused`."""
    sums = filters.of_model(usage.usage_by_model(balance.account_id, filters.span))
    count = sum(each.requests for each in sums)
    if view == "requests" and count > csv_export.MOST_ROWS:
        most = f"{csv_export.MOST_ROWS:,}"
        raise ExportRefused(f"That is {count:,} requests, and a spreadsheet holds {most}. Choose fewer days.")
    # Last, because a refusal above should not keep the account from another file.
    if not csv_export.try_lock(balance.account_id):
        raise ExportRefused("Your other file is still being made. Try again in a moment.")
    if view == "requests":
        file = csv_export.requests(balance.account_id, filters.span, model=filters.model or None)
    elif view == "models":
        file = csv_export.models(sums)
    else:
        file = csv_export.history(changes_in(balance, filters.span, filters.zone), filters.zone)
    return _response(file, f"sidekick-{view}-{filters.dates_in_name}.csv")


def _response(file: IO[bytes], name: str) -> HttpResponseBase:
    file.seek(0)
    # It declares the length, so that a browser notices a broken download.
    response = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    response.block_size = BLOCK
    return response
