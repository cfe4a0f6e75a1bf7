"""The bodies that the JSON API of credits takes and returns. Credits are decimal strings with six decimals, times
RFC 3339.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema
from rest_framework.request import Request

from credits.usage.schemas import MOST_EVENTS, Event, ModelName, RejectionCode, RequestId, Tokens

# As strings, because programs read JSON numbers as floats, which are not exact.
Credits = Annotated[
    Decimal,
    PlainSerializer(lambda amount: f"{amount:.6f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{6}$"}),
]
# In OpenAPI, instead of the docstring.
OF_HELD_CREDITS = "What is promised until `expires_at`. Name `id` as `hold` in the usage event that reports the call."


class UsageEvents(BaseModel):
    """The body of `POST /usage`."""

    model_config = ConfigDict(json_schema_extra={"description": "Requests of any accounts, 1,000 at most."})
    events: Annotated[list[Event], Field(min_length=0, max_length=MOST_EVENTS)]


class Envelope(BaseModel):
    """The same before its events are looked at one by one."""

    events: Annotated[list[dict[str, Any]], Field(max_length=MOST_EVENTS)]


class RejectedEvent(BaseModel):
    index: int = Field(description="Its place in `events`, from 0.")
    request_id: str | None
    code: RejectionCode
    detail: str


class UsageReceipt(BaseModel):
    """accepted + duplicates + len(rejected) = events sent."""

    accepted: int = Field(description="New, stored and paid.")
    duplicates: int = Field(description="Sent before with the same content; nothing changed.")
    rejected: list[RejectedEvent] = Field(description="Not stored. Sending them again as they are will not help.")


class HoldRequest(BaseModel):
    """A model call about to be made."""

    account: uuid.UUID
    request_id: RequestId = Field(description="Yours, unique within the account; the usage event's may differ.")
    model: ModelName = Field(description="As the price book names it.")
    input_tokens: Tokens = Field(description="All of the prompt, cached or not.")
    max_output_tokens: Tokens = Field(description="The most the model may answer with.")


class HeldCredits(BaseModel):
    """A hold that is open."""

    model_config = ConfigDict(json_schema_extra={"description": OF_HELD_CREDITS})
    id: uuid.UUID
    amount: Credits = Field(description="The most the call can cost.")
    expires_at: datetime = Field(description="When the promise lapses by itself.")


class Period(BaseModel):
    """[starts_at, ends_at)"""

    starts_at: datetime
    ends_at: datetime


class CreditsState(BaseModel):
    """One account's credits at one moment.

    available = what is left of total + additional + courtesy − held, and never below 0.
    """

    account: uuid.UUID
    plan: str = Field(description="The plan of the period: free, starter, pro.")
    period: Period
    total: Credits = Field(description="This period's allocation and rollover.")
    used: Credits = Field(description="By requests that occurred in this period.")
    available: Credits = Field(description="What can be promised or spent now.")
    additional: Credits = Field(description="Bought credits left. They never expire.")
    courtesy: Credits = Field(description="Given by us, left.")
    held: Credits = Field(description="Promised to calls that are being made.")
    debt: Credits = Field(description="Used beyond what was there; the next credits pay it first.")
    as_of: datetime


class UsageResult(BaseModel):
    request_id: str
    occurred_at: datetime
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    total_tokens: int
    credits: Credits


class UsagePage(BaseModel):
    count: int = Field(description="All requests that match.")
    page: int
    pages: int
    results: list[UsageResult] = Field(description="At most 20.")


class ModelResult(BaseModel):
    model: str
    requests: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    credits: Credits


class ModelResults(BaseModel):
    results: list[ModelResult]
    total: ModelResult = Field(description="The sum of all; `model` is empty.")


def body_of(request: Request) -> bytes:
    """The body, unread by DRF. Raises `RequestDataTooBig`, before it is read where its length is declared."""
    # Pydantic parses and checks it in one compiled pass, four times faster than DRF.
    declared = request.headers.get("content-length") or "0"
    if declared.isdigit() and int(declared) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise RequestDataTooBig
    return request._request.body


def faults(error: ValidationError) -> dict[str, list[str]]:
    """The first twenty messages, by field, as a problem's `errors`."""
    messages: dict[str, list[str]] = {}
    for part in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        field = ".".join(str(step) for step in part["loc"]) or "body"
        messages.setdefault(field, []).append(part["msg"])
    return messages
