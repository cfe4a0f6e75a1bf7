"""The JSON API of usage: backends report it, and customers' programs read theirs. Holds are in `holds`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.utils import timezone
from django.utils.cache import patch_vary_headers
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from credits.api import parameters, schemas
from credits.api.openapi import reads_credits, reads_models, reads_usage, reports_usage
from credits.api.schemas import (
    CreditsState,
    Envelope,
    ModelResult,
    ModelResults,
    Period,
    UsageEvents,
    UsagePage,
    UsageResult,
)
from credits.reports.balance import current_balance
from credits.reports.usage import ModelUsage, usage_by_model, usage_page
from credits.usage import recording
from credits.usage.schemas import MOST_EVENTS, Event, Receipt, RejectionCode
from sidekick import metrics
from sidekick.accounts.api.authentication import BearerAuthentication, ServiceKeyAuthentication, has_scope
from sidekick.accounts.api.throttling import LimitedView
from sidekick.accounts.models import ServiceKey, User
from sidekick.api.problems import Problem
from sidekick.web.etags import etag_of, has_seen
from sidekick.web.pagination import PAGE_SIZE

_event = TypeAdapter(Event)


class ReadingView(LimitedView):
    """For a customer's access token, which reads its own account, or a service key that names one."""

    authentication_classes = [ServiceKeyAuthentication, BearerAuthentication]
    permission_classes = [has_scope(ServiceKey.Scope.CREDITS_READ) | IsAuthenticated]

    def account_id(self, request: Request) -> uuid.UUID:
        by_key = isinstance(request.auth, ServiceKey)
        named = request.query_params.get("account", "" if by_key else None)
        try:
            account_id = uuid.UUID(named) if named is not None else None
        except ValueError:
            faults = {"account": ["Give it as its id."]}
            raise Problem(400, "invalid", "Name the account by its id: ?account=…", errors=faults) from None
        # A token's own account wins over the parameter: nobody reads another's by naming it.
        if not by_key or account_id is None:
            return uuid.UUID(str(request.user.pk))
        if not User.objects.filter(id=account_id).exists():
            raise Problem(404, "unknown_account", "There is no such account.")
        return account_id

    def answer(self, request: Request, state: BaseModel) -> Response:
        """The state, or 304 where the caller has it already."""
        content = state.model_dump(mode="json")
        # The time of reading alone is no change.
        etag = etag_of({**content, "as_of": None})
        response = Response(status=304) if has_seen(request._request, etag) else Response(content)
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
        patch_vary_headers(response, ["Authorization"])
        return response


class CreditsView(ReadingView):
    @reads_credits
    def get(self, request: Request) -> Response:
        with current_balance(self.account_id(request), timezone.now()) as balance:
            pass
        state = CreditsState(
            account=balance.account_id,
            plan=balance.plan,
            period=Period(starts_at=balance.starts_at, ends_at=balance.ends_at),
            total=balance.total,
            used=balance.used,
            available=balance.available,
            additional=balance.additional,
            courtesy=balance.courtesy,
            held=balance.held,
            debt=balance.debt,
            as_of=balance.as_of,
        )
        return self.answer(request, state)


class UsageView(ReadingView):
    def get_permissions(self) -> Sequence[Any]:
        if self.request.method == "POST":
            return [has_scope(ServiceKey.Scope.USAGE_WRITE)()]
        return super().get_permissions()

    @reads_usage
    def get(self, request: Request) -> Response:
        """An account's requests, newest first, 20 a page; of the current period where no span is named."""
        account_id = self.account_id(request)
        number, model = parameters.page_number(request), parameters.model(request)
        with current_balance(account_id, timezone.now()) as balance:
            page = usage_page(account_id, parameters.span(request, balance), page=number, model=model)
        pages = max(-(-page.count // PAGE_SIZE), 1)
        if number > pages:
            raise Problem(404, "invalid_page", f"Pages go from 1 to {pages}.")
        results = [UsageResult(**row._asdict(), total_tokens=row.total_tokens) for row in page.rows]
        return self.answer(request, UsagePage(count=page.count, page=number, pages=pages, results=results))

    @reports_usage
    def post(self, request: Request) -> Response:
        """Report what requests used: up to 1,000 of any accounts, in one transaction.

        Sending anything again changes nothing, so after an error send the same call again. An event that can't be
        stored is refused alone, in `rejected`. Give requests ids that grow with time (UUIDv7, ULID): they are stored
        2.5 times faster than random ones.
        """
        receipt = _answer(schemas.body_of(request))
        _count(receipt)
        return Response(receipt)


class UsageModelsView(ReadingView):
    @reads_models
    def get(self, request: Request) -> Response:
        """Requests, tokens and credits by model, most credits first, and their total."""
        account_id = self.account_id(request)
        with current_balance(account_id, timezone.now()) as balance:
            sums = usage_by_model(account_id, parameters.span(request, balance))
        total = ModelUsage.sum_of(sums, name="")
        results = [ModelResult(**s._asdict()) for s in sums]
        return self.answer(request, ModelResults(results=results, total=ModelResult(**total._asdict())))


def _answer(body: bytes) -> dict[str, Any]:
    # All events in one compiled pass; one by one costs several times as much, and only tells which is wrong.
    try:
        events = UsageEvents.model_validate_json(body).events
    except ValidationError:
        return _answer_one_by_one(body)
    return _receipt(recording.record(events))


def _count(receipt: dict[str, Any]) -> None:
    # Only after the events are stored: a failed call is sent again, and counts then.
    counts = {"accepted": receipt["accepted"], "duplicate": receipt["duplicates"], "rejected": len(receipt["rejected"])}
    for outcome, number in counts.items():
        metrics.usage_events.labels(outcome).inc(number)


def _answer_one_by_one(body: bytes) -> dict[str, Any]:
    # Some event is not valid, or the whole body: find out which.
    try:
        raw = Envelope.model_validate_json(body).events
    except ValidationError as error:
        raise Problem(
            400,
            "invalid",
            f'Send {{"events": […]}} with at most {MOST_EVENTS:,} objects.',
            errors=schemas.faults(error),
        ) from None
    valid, places, invalid = [], [], []
    for index, item in enumerate(raw):
        try:
            valid.append(_event.validate_json(to_json(item)))
            places.append(index)
        except ValidationError as error:
            invalid.append(_invalid(index, item, error))
    receipt = _receipt(recording.record(valid))
    # Recording counted only the valid events; the caller counts all of them.
    for rejected in receipt["rejected"]:
        rejected["index"] = places[rejected["index"]]
    receipt["rejected"] = sorted(receipt["rejected"] + invalid, key=lambda rejected: rejected["index"])
    return receipt


def _invalid(index: int, item: dict[str, Any], error: ValidationError) -> dict[str, Any]:
    request_id = item.get("request_id")
    detail = "; ".join(
        f"{field}: {message}" for field, messages in schemas.faults(error).items() for message in messages
    )
    return {
        "index": index,
        "request_id": request_id[:128] if isinstance(request_id, str) else None,
        "code": RejectionCode.INVALID,
        "detail": detail,
    }


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return {
        "accepted": receipt.accepted,
        "duplicates": receipt.duplicates,
        "rejected": [
            {"index": r.index, "request_id": r.request_id, "code": r.code, "detail": r.detail} for r in receipt.rejected
        ],
    }
