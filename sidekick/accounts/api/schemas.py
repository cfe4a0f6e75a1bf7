"""The bodies of `/api/v1/auth/…`, and what the OpenAPI document says of its operations."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers

from sidekick.api.openapi import CHALLENGE, RETRY, RETRY_UNAVAILABLE, refusals
from sidekick.email_addresses import normalised


# PostgreSQL's text can't hold NUL.
@extend_schema_field({"type": "string", "minLength": 1, "pattern": r"^[^\x00]*$"})
class Text(serializers.CharField):
    """DRF's takes numbers for text as well, and a token that is a number is none."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


@extend_schema_field({"type": "string", "format": "email", "maxLength": 254})
class Email(serializers.CharField):
    """In any spelling that the sign-in page takes."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return normalised(data)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages, code="invalid") from error


class Credentials(serializers.Serializer[Any]):
    email = Email()
    password = Text(max_length=1024, trim_whitespace=False)
    code = Text(
        max_length=64, required=False, help_text="Of the authenticator app, or a recovery code; asked for by `code`."
    )


class Refresh(serializers.Serializer[Any]):
    refresh = Text(max_length=4096, trim_whitespace=False)


class Pair(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Send it as `Authorization: Bearer`; lives for five minutes.")
    refresh = serializers.CharField(help_text="Good for one refresh, which may be sent again after a lost answer.")


OF_BODIES = ("invalid", "parse_error", "too_large", "unsupported_media_type")
REFRESH = OpenApiExample("A refresh token", {"refresh": "eyJhbGciOiJIUzI1NiIs…"}, request_only=True)
PAIR = OpenApiExample(
    "A pair",
    {"access": "eyJhbGciOiJIUzI1NiIs…", "refresh": "eyJhbGciOiJIUzI1NiIs…"},
    response_only=True,
    status_codes=["200"],
)

signs_in = extend_schema(
    operation_id="sign_in",
    summary="Sign in",
    tags=["Sign-in"],
    auth=[],
    request=Credentials,
    parameters=[RETRY, CHALLENGE],
    responses={200: Pair, **refusals(*OF_BODIES, "invalid_credentials", "second_factor_required", "throttled")},
    examples=[
        OpenApiExample(
            "With a second factor",
            {"email": "maya@example.com", "password": "a-quiet-sunny-harbour-7", "code": "492039"},
            request_only=True,
        ),
        PAIR,
    ],
)
refreshes = extend_schema(
    operation_id="refresh_session",
    summary="Refresh a session",
    tags=["Sign-in"],
    auth=[],
    request=Refresh,
    parameters=[RETRY, CHALLENGE],
    responses={200: Pair, **refusals(*OF_BODIES, "invalid_token", "refresh_token_spent", "throttled")},
    examples=[REFRESH, PAIR],
)
signs_out = extend_schema(
    operation_id="sign_out",
    summary="Sign out",
    tags=["Sign-in"],
    auth=[],
    request=Refresh,
    parameters=[RETRY_UNAVAILABLE],
    responses={204: OpenApiResponse(description="The session is over."), **refusals(*OF_BODIES)},
    examples=[REFRESH],
)
