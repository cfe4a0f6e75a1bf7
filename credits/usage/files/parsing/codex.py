"""The log of a Codex session: which of its lines are requests, and what each used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from credits.usage.files.parsing.lines import BadLine, Numbered, Row

COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens")


def requests_of(lines: Iterable[Numbered]) -> Iterator[Numbered]:
    """Yield each token count of a session as a row, and None for every other line.

    Reasoning is part of the output tokens. A count that is written again, with the same total, is no request.
    """
    model: Any = None
    before: Mapping[str, Any] | None = None
    for number, row in lines:
        if not isinstance(row, Mapping):
            yield number, row
            continue
        payload = _mapping(row.get("payload"))
        if row.get("type") == "turn_context":
            model = payload.get("model") or model
        info = _mapping(payload.get("info"))
        if row.get("type") != "event_msg" or payload.get("type") != "token_count" or not info:
            yield number, None
            continue
        total, last = _mapping(info.get("total_token_usage")), _mapping(info.get("last_token_usage"))
        if total and before == total:
            yield number, None
            continue
        yield number, _request(row, info.get("model") or model, last or _since(total, before))
        before = total or before


def _request(row: Row, model: Any, usage: Mapping[str, Any] | None) -> Row | BadLine:
    if usage is None:
        return BadLine("its totals are less than those before, and it does not say what the last request used")
    counts = {name: usage.get(name) for name in COUNTS}
    return {"timestamp": row.get("timestamp"), "model": model, **counts}


def _since(total: Mapping[str, Any], before: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Returns what was used since the totals before; None where that would be less than nothing."""
    try:
        used = {name: (total.get(name) or 0) - ((before or {}).get(name) or 0) for name in COUNTS}
    except TypeError:
        return total
    return used if min(used.values()) >= 0 else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
