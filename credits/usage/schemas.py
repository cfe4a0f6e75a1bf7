"""The form of usage that the backend reports, and of the receipt it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, NotRequired

from pydantic import AwareDatetime, Field, StringConstraints
from typing_extensions import TypedDict

MOST_EVENTS = 1000  # In one call.

Tokens = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
# PostgreSQL's text can't hold NUL, and no other control character belongs into a name.
PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
RequestId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=PRINTABLE)]
ModelName = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100, pattern=PRINTABLE)]
HoldId = Annotated[str, StringConstraints(strict=True, max_length=64)]


class Event(TypedDict):
    """One request as the backend reports it; `UsageEvent` is how it is stored."""

    request_id: RequestId
    account: Annotated[str, StringConstraints(strict=True, max_length=64)]
    model: ModelName
    occurred_at: Annotated[AwareDatetime, Field(strict=True)]
    input_tokens: Tokens
    output_tokens: Tokens
    # 0 when absent: many models have no cache. `pricing.price` fills it in.
    cache_read_tokens: NotRequired[Tokens]
    cache_write_tokens: NotRequired[Tokens]
    hold: NotRequired[HoldId | None]


class RejectionCode(StrEnum):
    """Why an event was not stored."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_MODEL = "unknown_model"
    INVALID = "invalid"
    CONFLICT = "conflict"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"


# Its name in the API's description, and so in the code that clients generate from it.
RejectionCode.__name__ = RejectionCode.__qualname__ = "Refusal"


@dataclass(frozen=True, slots=True)
class Rejected:
    index: int
    request_id: str | None
    code: RejectionCode
    detail: str


@dataclass(slots=True)
class Receipt:
    """`accepted + duplicates + len(rejected)` is the number of events sent. `repeated` are the places of duplicates."""

    accepted: int = 0
    repeated: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        return len(self.repeated)

    def repeat(self, index: int) -> None:
        self.repeated.append(index)

    def reject(self, index: int, event: Event, code: RejectionCode, detail: str) -> None:
        self.rejected.append(Rejected(index, event["request_id"], code, detail))
