"""The columns of a file: paths into its rows, and the refusal of a file that lacks one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping

from credits.usage.files.fields import FIELDS, OPTIONAL, Fields
from credits.usage.files.parsing.lines import Refused, Row


def paths(row: Row, before: str = "") -> Iterator[str]:
    """Yield the paths of a row's values."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def check_columns(fields: Fields, mapped: Collection[str], present: Collection[str], separated_by: str = "") -> None:
    """Raises `Refused` where a field that is required, mapped, or the id of a preset has no column.

    It does so too where an optional field stands in another spelling. `present` are the columns of the file, `mapped`
    the fields that the operator named columns for.
    """
    # Ids that a preset names a column for are never made up: another copy of the export would be charged again.
    named = {*mapped, *({"request_id"} & fields.columns.keys())}
    wanted = [name for name in FIELDS if name in named or name not in OPTIONAL]
    if missing := fields.first_missing(wanted, present):
        raise Refused(_sentence(*missing, present, separated_by))
    taken = {column for name in FIELDS for part in fields.parts(name) for column in part if name in mapped}
    for name in OPTIONAL:
        if fields.first_missing([name], present):
            similar = [column for column in present if _folded(column) == name and column not in taken]
            if similar:
                raise Refused(f"Is {similar[0]} the column of {name}? Then say --map {name}={similar[0]}.")


def _sentence(name: str, column: str, present: Collection[str], separated_by: str) -> str:
    alike = [other for other in present if _folded(other) == _folded(column)]
    alike = alike or difflib.get_close_matches(column, present, n=1, cutoff=0.7)
    did_you_mean = f" (did you mean {alike[0]}?)" if alike else ""
    for_field = "" if column == name else f" for {name}"
    separated = f"; it looks separated by {separated_by}" if separated_by else ""
    listed = ", ".join(other or "(without a name)" for other in present)
    return f"The file has no column {column}{for_field}{did_you_mean}{separated}. Its columns: {listed}."


def _folded(name: str) -> str:
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())
