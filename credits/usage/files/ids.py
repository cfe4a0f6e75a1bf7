"""Ids for requests that have none: made of their content, so that loading a file again adds nothing."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from credits.usage.files import values
from credits.usage.files.fields import Fields, look_up
from credits.usage.files.layouts import Sums
from credits.usage.files.parsing.lines import BadLine, Row


@dataclass(slots=True)
class IdMaker:
    """Makes the ids of one file. `file_id` sets them apart from those of equal lines in others."""

    fields: Fields
    file_id: str = ""
    seen: dict[bytes, int] = field(default_factory=lambda: defaultdict(int))

    def of_content(self, event: Mapping[str, Any]) -> str:
        """Returns a request id made of the row's content, and of how often that content came before in this file."""
        content = json.dumps(event, default=str, sort_keys=True).encode() + self.file_id.encode(
            errors="surrogateescape"
        )
        digest = hashlib.sha256(content).digest()[:12]
        self.seen[digest] += 1
        return f"{_prefix(event['occurred_at'])}_{digest.hex()}_{self.seen[digest]}"

    def of_sum(self, row: Row, event: Mapping[str, Any], sums: Sums) -> str:
        """Returns an id made of what a sum is about: one that has grown since is the same request, and a conflict."""
        # Days stay the same days if another time zone is named for them.
        start = values.moment(self.fields.values(row, "occurred_at")[0], UTC).astimezone(UTC)
        about = ["" if (value := look_up(row, column)) is None else str(value).lower() for column in sums.key]
        digest = hashlib.sha256(json.dumps([event["account"], start.isoformat(), *about]).encode()).digest()[:12]
        self.seen[digest] += 1
        if self.seen[digest] > 1:
            raise BadLine(f"an earlier line is about the same time and {', '.join(sums.key)}")
        return f"{_prefix(start)}_{digest.hex()}_sum"


def _prefix(moment: datetime) -> str:
    # Time comes first: ids that grow are stored faster.
    return f"import_{int(moment.timestamp()):010x}"
