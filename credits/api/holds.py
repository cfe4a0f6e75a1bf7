"""The JSON API of holds: a backend holds credits for a call, and releases what it did not need (M4)."""

from __future__ import annotations

import uuid

from django.urls import reverse
from pydantic import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from credits.api import schemas
from credits.api.openapi import releases, reserves
from credits.api.schemas import HeldCredits, HoldRequest
from credits.ledger import holds
from credits.models import Hold
from sidekick.accounts.api.authentication import BearerAuthentication, ServiceKeyAuthentication, has_scope
from sidekick.accounts.api.throttling import LimitedView
from sidekick.accounts.models import ServiceKey
from sidekick.api.problems import Problem


class HoldingView(LimitedView):
    """For service keys alone."""

    # Access tokens are read too, so that a customer's gets 403 (no permission) instead of 401 (unknown).
    authentication_classes = [ServiceKeyAuthentication, BearerAuthentication]
    permission_classes = [has_scope(ServiceKey.Scope.HOLDS_WRITE)]


class HoldsView(HoldingView):
    @reserves
    def post(self, request: Request) -> Response:
        """Promise credits to a model call before it is made, for as much as it can cost at most.

        The same request again answers the same hold. Report the call with the hold's id when it is done: usage
        settles it. Release it when the call failed. One that is never heard of lapses after 15 minutes. A model whose
        prices are all 0 gets its hold at any balance, also in debt.
        """
        try:
            wish = HoldRequest.model_validate_json(schemas.body_of(request))
        except ValidationError as error:
            raise Problem(400, "invalid", "This asks for no hold.", errors=schemas.faults(error)) from None
        hold = _reserve(wish)
        answer = HeldCredits(id=hold.id, amount=hold.amount, expires_at=hold.expires_at)
        location = {"Location": reverse("api:hold", args=[hold.id])}
        return Response(answer.model_dump(mode="json"), status=201, headers=location)


class HoldView(HoldingView):
    @releases
    def delete(self, request: Request, hold_id: uuid.UUID) -> Response:
        """Give back what the call did not need. Again, or after it lapsed, changes nothing."""
        try:
            holds.release(hold_id)
        except Hold.DoesNotExist:
            raise Problem(404, "not_found", "There is no such hold.") from None
        except holds.HoldConflict as conflict:
            raise Problem(409, "conflict", str(conflict)) from None
        return Response(status=204)


def _reserve(wish: HoldRequest) -> Hold:
    try:
        return holds.reserve(
            wish.account,
            request_id=wish.request_id,
            model=wish.model,
            input_tokens=wish.input_tokens,
            max_output_tokens=wish.max_output_tokens,
        )
    except holds.UnknownAccount:
        raise Problem(404, "unknown_account", "There is no such account.") from None
    except holds.UnknownModel:
        raise Problem(404, "unknown_model", "The price book has no such model.") from None
    except holds.HoldConflict as conflict:
        raise Problem(409, "conflict", str(conflict)) from None
    except holds.InsufficientCredits as short:
        available, required = f"{short.available:.6f}", f"{short.required:.6f}"
        detail = f"{required} credits are required, {available} are available."
        raise Problem(402, "insufficient_credits", detail, available=available, required=required) from None
