"""How the API describes itself: what all operations share. Each room describes its own operations with these."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from pydantic import BaseModel, ConfigDict, Field

from sidekick.api import problems


class Refusal(NamedTuple):
    """One `code` of a problem: its status, an example of its `detail`, when it comes, and members beside them."""

    status: int
    detail: str
    when: str
    extra: dict[str, Any] = {}


REFUSALS = {
    "invalid": Refusal(
        400,
        "Some fields are not valid.",
        "A parameter, or the body, is not what this description says; `errors` names the fields where it can.",
        {"errors": {"input_tokens": ["Input should be greater than or equal to 0"]}},
    ),
    "parse_error": Refusal(400, "JSON parse error - Expecting value: line 1 column 1 (char 0)", "The body is no JSON."),
    "not_authenticated": Refusal(
        401, "Authentication credentials were not provided.", "There is no `Authorization: Bearer …` header."
    ),
    "invalid_key": Refusal(401, "The service key is unknown or revoked.", "Make another with `create_service_key`."),
    "invalid_token": Refusal(
        401, "The access token is not valid, or its session ended.", "Refresh the pair, or sign in again."
    ),
    "invalid_credentials": Refusal(
        401, "The email or the password is not right.", "Or the account does not exist: the two look the same."
    ),
    "second_factor_required": Refusal(
        401, "This account has a second factor: send its code as well.", "Send `code` too; also after a wrong one."
    ),
    "refresh_token_spent": Refusal(
        401,
        "Use the newest pair that this token was refreshed for.",
        "It was refreshed twice, last within 30 seconds; later it is `invalid_token` and ends its session.",
    ),
    "insufficient_credits": Refusal(
        402,
        "0.450000 credits are required, 0.120000 are available.",
        "Nothing was promised: don’t make the call. `available` and `required` say why.",
        {"available": "0.120000", "required": "0.450000"},
    ),
    "permission_denied": Refusal(
        403, "You do not have permission to perform this action.", "A customer’s token where a service key is needed."
    ),
    "missing_scope": Refusal(
        403, "This service key lacks the scope usage:write.", "The key may do other things, but not this."
    ),
    "unknown_account": Refusal(404, "There is no such account.", "No account has this id, or it is closed."),
    "unknown_model": Refusal(404, "The price book has no such model.", "Operators add models in the admin."),
    "invalid_page": Refusal(404, "Pages go from 1 to 7.", "There is no such page."),
    "not_found": Refusal(404, "There is no such hold.", "Nothing lives at this address."),
    "method_not_allowed": Refusal(405, 'Method "PUT" not allowed.', "`Allow` lists the methods of this address."),
    "not_acceptable": Refusal(
        406, "Could not satisfy the request Accept header.", "Answers are JSON: `Accept` must allow it."
    ),
    "conflict": Refusal(
        409,
        "This request id has a hold for another call.",
        "What stands contradicts this request; sending it again will not help.",
    ),
    "too_large": Refusal(413, "The body is larger than 2,621,440 bytes.", "Send fewer events at once."),
    "unsupported_media_type": Refusal(
        415, 'Unsupported media type "text/plain" in request.', "Send `Content-Type: application/json`."
    ),
    "throttled": Refusal(
        429,
        "Request was throttled. Expected available in 12 seconds.",
        "Wait as many seconds as `Retry-After` says.",
    ),
    "error": Refusal(500, "Something went wrong.", "Our fault. Sending the same request again is safe."),
    "unavailable": Refusal(
        503,
        "The database does not answer. Try again in a moment.",
        "Nothing is half done. Send the same request again after `Retry-After` seconds.",
    ),
}
ALWAYS = ("not_acceptable", "error", "unavailable")
# Responses to callers who are known: neither 401 nor 406, which comes before anybody is asked for a key.
COUNTED = (200, 201, 204, 304, 400, 402, 403, 404, 409, 413, 429)


class Problem(BaseModel):
    """Every refusal has this shape (RFC 9457). Programs read `code`, people read `detail`."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The status in words.")
    status: int
    code: str = Field(description="What programs read. It never changes.", json_schema_extra={"enum": list(REFUSALS)})
    detail: str = Field(description="For people; may be worded otherwise one day.")
    errors: dict[str, list[str]] | None = Field(None, description="What is wrong, by field.")


def refusals(*codes: str) -> dict[tuple[int, str], OpenApiResponse]:
    """Entries for `extend_schema(responses={…, **refusals("invalid", "unknown_account")})`: one a status.

    Each status has an example of every code it comes with; what every operation may answer is added.
    """
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in (*codes, *ALWAYS):
        by_status[REFUSALS[code].status].append(code)
    return {(status, problems.MEDIA_TYPE): _response(status, codes) for status, codes in sorted(by_status.items())}


def _response(status: int, codes: list[str]) -> OpenApiResponse:
    return OpenApiResponse(
        Problem,
        description="\n".join(f"- `{code}`: {REFUSALS[code].when}" for code in codes),
        examples=[
            OpenApiExample(
                code,
                value=problems.body(status, code, REFUSALS[code].detail, **REFUSALS[code].extra),
                response_only=True,
                status_codes=[str(status)],
                media_type=problems.MEDIA_TYPE,
            )
            for code in codes
        ],
    )


def answer_header(
    name: str, description: str, *statuses: int, type_: OpenApiTypes = OpenApiTypes.INT, required: bool = True
) -> OpenApiParameter:
    return OpenApiParameter(
        name, type_, OpenApiParameter.HEADER, description=description, response=list(statuses), required=required
    )


def rate_headers() -> list[OpenApiParameter]:
    """Headers that tell a caller how much of its minute is left, on every response that is counted."""
    figures = {
        "Limit": "Requests a minute. Absent where a caller has no limit, and where a request was malformed.",
        "Remaining": "Requests left of this minute.",
        "Reset": "Seconds until all of them are there again.",
    }
    return [
        *(answer_header(f"RateLimit-{name}", words, *COUNTED, required=False) for name, words in figures.items()),
        answer_header(
            "RateLimit-Policy", "`120;w=60`: 120 in 60 seconds.", *COUNTED, type_=OpenApiTypes.STR, required=False
        ),
    ]


CHALLENGE = answer_header("WWW-Authenticate", "`Bearer`", 401, type_=OpenApiTypes.STR)
RETRY = answer_header("Retry-After", "Seconds to wait.", 429, 503)
RETRY_UNAVAILABLE = answer_header("Retry-After", "Seconds to wait.", 503)
