"""The descriptions of the operations of credits, in OpenAPI and on the page made of it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from credits.api.parameters import ACCOUNT, FROM, MODEL, PAGE, TO
from credits.api.schemas import (
    CreditsState,
    HeldCredits,
    HoldRequest,
    ModelResults,
    UsageEvents,
    UsagePage,
    UsageReceipt,
)
from sidekick.api.openapi import CHALLENGE, RETRY, answer_header, rate_headers, refusals

# drf-spectacular annotates `auth` as names, but documents and takes OpenAPI's own objects.
KEY: list[Any] = [{"serviceKey": []}]
BOTH: list[Any] = [{"accessToken": []}, {"serviceKey": []}]
OF_KEYS = ("not_authenticated", "invalid_key", "invalid_token", "permission_denied", "missing_scope", "throttled")
OF_READERS = ("invalid", "not_authenticated", "invalid_key", "invalid_token", "missing_scope", "unknown_account")

ACCOUNT_ID = "0d5e2f0c-6b0e-4f6b-9a57-0f6f3c1d2e4b"
HOLD_ID = "6a3f1f7e-4c0b-4d8e-9a55-2b7c1d0e9f31"
REQUEST_ID = "req_01J8Z3K4M5N6P7Q8R9S0T1V2W3"
CALL = {"account": ACCOUNT_ID, "request_id": REQUEST_ID, "model": "claude-sonnet-4-5"}
TOKENS = {"input_tokens": 1200, "output_tokens": 340, "cache_read_tokens": 0, "cache_write_tokens": 0}
EVENT: dict[str, Any] = {**CALL, "occurred_at": "2026-11-22T09:00:00Z", **TOKENS, "hold": None}
ROW = {"request_id": REQUEST_ID, "occurred_at": "2026-11-22T09:00:00Z", "model": "claude-sonnet-4-5", **TOKENS}
SUMS = {**TOKENS, "requests": 1, "credits": "0.174000"}

IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer you have: 304 without a body while it still holds.",
)
ETAG = answer_header("ETag", "Changes whenever anything in the answer does.", 200, 304, type_=OpenApiTypes.STR)
LOCATION = answer_header("Location", "The hold, to be released at.", 201, type_=OpenApiTypes.URI_REF)
UNCHANGED = {304: OpenApiResponse(description="Nothing has changed since the answer with this `ETag`.")}

OF_EVENTS = {
    "request_id": "Yours, unique within the account. The same id with the same content is a duplicate.",
    "account": "The account’s id.",
    "model": "As the price book names it.",
    "occurred_at": "With its offset; at most 7 days ago, and 5 minutes ahead of our clock.",
    "input_tokens": (
        "Without those read from the cache or written to it. OpenAI, OpenRouter and LiteLLM count them inside "
        "`prompt_tokens`: subtract them, or they are paid twice."
    ),
    "cache_read_tokens": "0 when absent.",
    "cache_write_tokens": "0 when absent.",
    "hold": "The `id` of the hold this call was made with; it is settled.",
}


def explain_events(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """A hook of drf-spectacular that describes the members of an event, which `usage.recording` defines."""
    members = result["components"]["schemas"]["Event"]["properties"]
    for name, words in OF_EVENTS.items():
        members[name]["description"] = words
        if name.startswith("cache_"):
            members[name]["default"] = 0
    return result


reads_credits = extend_schema(
    operation_id="read_credits",
    summary="Read what an account has",
    description=(
        "What an account has, used and owes now.\n\n"
        "Poll it with `If-None-Match`: while nothing changes the answer is 304, without a body."
    ),
    tags=["Credits"],
    auth=BOTH,
    parameters=[ACCOUNT, IF_NONE_MATCH, ETAG, *rate_headers(), RETRY, CHALLENGE],
    responses={200: CreditsState, **UNCHANGED, **refusals(*OF_READERS, "throttled")},
    examples=[
        OpenApiExample(
            "Pro, in the middle of a month",
            response_only=True,
            status_codes=["200"],
            value={
                "account": ACCOUNT_ID,
                "plan": "pro",
                "period": {"starts_at": "2026-11-03T08:41:17Z", "ends_at": "2026-12-03T08:41:17Z"},
                "total": "1137.500000",
                "used": "412.345678",
                "available": "974.254322",
                "additional": "250.000000",
                "courtesy": "0.000000",
                "held": "0.900000",
                "debt": "0.000000",
                "as_of": "2026-11-22T09:00:02Z",
            },
        )
    ],
)

reads_usage = extend_schema(
    operation_id="list_usage",
    summary="List an account’s requests",
    tags=["Usage"],
    auth=BOTH,
    parameters=[ACCOUNT, FROM, TO, MODEL, PAGE, IF_NONE_MATCH, ETAG, *rate_headers(), RETRY, CHALLENGE],
    responses={200: UsagePage, **UNCHANGED, **refusals(*OF_READERS, "invalid_page", "throttled")},
    examples=[
        OpenApiExample(
            "One request",
            response_only=True,
            status_codes=["200"],
            value={
                "count": 1,
                "page": 1,
                "pages": 1,
                "results": [{**ROW, "total_tokens": 1540, "credits": "0.174000"}],
            },
        )
    ],
)

reads_models = extend_schema(
    operation_id="sum_usage_by_model",
    summary="Sum an account’s usage by model",
    tags=["Usage"],
    auth=BOTH,
    parameters=[ACCOUNT, FROM, TO, IF_NONE_MATCH, ETAG, *rate_headers(), RETRY, CHALLENGE],
    responses={200: ModelResults, **UNCHANGED, **refusals(*OF_READERS, "throttled")},
    examples=[
        OpenApiExample(
            "One model",
            response_only=True,
            status_codes=["200"],
            value={"results": [{"model": "claude-sonnet-4-5", **SUMS}], "total": {"model": "", **SUMS}},
        )
    ],
)

reports_usage = extend_schema(
    operation_id="report_usage",
    summary="Report what requests used",
    tags=["Usage"],
    auth=KEY,
    request=UsageEvents,
    parameters=[*rate_headers(), RETRY, CHALLENGE],
    responses={200: UsageReceipt, **refusals("invalid", *OF_KEYS, "too_large")},
    examples=[
        OpenApiExample(
            "One request, and the hold it settles", {"events": [{**EVENT, "hold": HOLD_ID}]}, request_only=True
        ),
        OpenApiExample(
            "One stored, one refused",
            response_only=True,
            status_codes=["200"],
            value={
                "accepted": 1,
                "duplicates": 0,
                "rejected": [
                    {
                        "index": 1,
                        "request_id": "req_2",
                        "code": "unknown_model",
                        "detail": "The price book has no such model at that time.",
                    }
                ],
            },
        ),
    ],
)

reserves = extend_schema(
    operation_id="hold_credits",
    summary="Hold credits for a call",
    tags=["Holds"],
    auth=KEY,
    request=HoldRequest,
    parameters=[*rate_headers(), RETRY, CHALLENGE, LOCATION],
    responses={
        201: HeldCredits,
        **refusals(
            "invalid", *OF_KEYS, "insufficient_credits", "unknown_account", "unknown_model", "conflict", "too_large"
        ),
    },
    examples=[
        OpenApiExample(
            "A call of up to 4,096 tokens",
            {**CALL, "input_tokens": 1200, "max_output_tokens": 4096},
            request_only=True,
        ),
        OpenApiExample(
            "Promised for a quarter of an hour",
            {"id": HOLD_ID, "amount": "0.684400", "expires_at": "2026-11-22T09:15:00Z"},
            response_only=True,
            status_codes=["201"],
        ),
    ],
)

releases = extend_schema(
    operation_id="release_hold",
    summary="Release a hold",
    tags=["Holds"],
    auth=KEY,
    parameters=[
        OpenApiParameter(
            "hold_id",
            OpenApiTypes.UUID,
            OpenApiParameter.PATH,
            description="The `id` of the hold.",
            examples=[OpenApiExample("A hold", HOLD_ID)],
        ),
        *rate_headers(),
        RETRY,
        CHALLENGE,
    ],
    responses={
        204: OpenApiResponse(description="Released, or it was before."),
        **refusals(*OF_KEYS, "not_found", "conflict"),
    },
)
