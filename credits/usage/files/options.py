"""The options of an import, read and checked before its file is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from credits.models import AIModel
from credits.usage.files.fields import FIELDS
from credits.usage.files.parsing.lines import Refused, parse_numbers
from sidekick.accounts.models import User


def columns(given: Collection[str]) -> dict[str, str]:
    """Returns the column of each field from texts such as `model=llm,occurred_at=when`."""
    mapping = _pairs("--map", given, "FIELD=COLUMN", FIELDS)
    used: dict[str, str] = {}
    for name, column in mapping.items():
        if column in used:
            raise Refused(f"--map names the column {column} for {used[column]} and for {name}.")
        used[column] = name
    return mapping


def constants(account: str | None, model: str | None, mapped: Collection[str]) -> dict[str, str]:
    """Returns the values that are the same for all lines."""
    for name, value in (("account", account), ("model", model)):
        if value and name in mapped:
            raise Refused(f"--{name} and --map {name}=… both say it: give one of them.")
    found = {}
    if account:
        user = User.objects.named(account)
        if user is None:
            raise Refused(f"There is no account {account}.")
        found["account"] = str(user.id)
    if model:
        _must_have_model(model)
        found["model"] = model
    return found


def models(given: Collection[str]) -> Mapping[str, str]:
    """Returns our name of each model from texts such as `openai/gpt-5=gpt-5`."""
    renamed = _pairs("--model-map", given, "NAME=MODEL")
    for name in renamed.values():
        _must_have_model(name)
    return renamed


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"There is no time zone {name}.") from None


def delimiter(text: str | None) -> str | None:
    """Returns the character that is meant; `\\t` and `tab` are a tab."""
    if text in ("\\t", "tab"):
        return "\t"
    if text is not None and (len(text) != 1 or text in '\r\n"'):
        raise Refused(f"--delimiter {text}: give one character, or tab.")
    return text


def chosen(text: str | None) -> list[range]:
    try:
        return parse_numbers(text) if text else []
    except ValueError:
        raise Refused(f"--only-lines {text}: give numbers, as in 2,7-9.") from None


def _pairs(option: str, given: Collection[str], form: str, names: Collection[str] = ()) -> dict[str, str]:
    pairs = [pair.strip() for text in given for pair in text.split(",")]
    found: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not value or (names and name not in names):
            among = f", with a field of {', '.join(names)}" if names else ""
            raise Refused(f"{option} {name}: give {form}{among}.")
        if name in found:
            raise Refused(f"{option} names {name} twice: {found[name]} and {value}.")
        found[name] = value
    return found


def _must_have_model(name: str) -> None:
    if not AIModel.objects.filter(name=name).exists():
        raise Refused(f"The price book has no model {name}.")
