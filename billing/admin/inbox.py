"""The inbox of Paddle's events, with applying them again, and the feed they are caught up from (P3, P5)."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.models import (
    EventFeed,
    PaddleEvent,
    PaddleEventQuerySet,
)
from billing.paddle import inbox
from sidekick.admin.base import ReadOnlyAdmin
from sidekick.admin.columns import badge
from sidekick.admin.reasons import reasoned_action

STATES = {
    PaddleEvent.State.RECEIVED: "info",
    PaddleEvent.State.APPLIED: "good",
    PaddleEvent.State.FAILED: "bad",
}


@admin.register(PaddleEvent)
class PaddleEventAdmin(ReadOnlyAdmin):
    title = "Paddle events"
    list_display = [
        "event_id",
        "shown_state",
        "event_type",
        "entity_id",
        "occurred_at",
        "attempts",
        "short_error",
    ]
    list_filter = ["state", "event_type"]
    search_fields = ["=event_id"]
    key_fields = ["event_id", "entity_id"]
    dated_by = "received_at"
    actions = ["apply_again"]

    def has_apply_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_paddleevent")

    def get_queryset(self, request: HttpRequest) -> PaddleEventQuerySet:
        """Bodies are long, and read on the event's own page only."""
        return PaddleEvent.objects.defer("body")

    @admin.display(description="State", ordering="state")
    def shown_state(self, event: PaddleEvent) -> SafeString:
        return badge(event.state, STATES.get(PaddleEvent.State(event.state), "plain"))

    @admin.display(description="Error")
    def short_error(self, event: PaddleEvent) -> str:
        return event.error.strip().rpartition("\n")[2][:120]

    @reasoned_action(description="Apply again", permissions=["apply"])
    def apply_again(self, request: HttpRequest, queryset: PaddleEventQuerySet, reason: str) -> None:
        """In the order they happened; an event that the worker is at right now is left to it."""
        outcomes: list[str] = []
        for event_id in queryset.order_by("occurred_at").values_list("event_id", flat=True):
            event = inbox.apply_again(event_id)
            outcomes.append(event.state if event else "busy")
        told = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes))
        level = messages.WARNING if PaddleEvent.State.FAILED in outcomes else messages.SUCCESS
        messages.add_message(request, level, f"Applied again: {told}.")


@admin.register(EventFeed)
class EventFeedAdmin(ReadOnlyAdmin):
    title = "Paddle event feed"
    list_display = ["name", "after", "read_at"]
