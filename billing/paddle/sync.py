"""Catching up with Paddle when webhooks were lost: its feed of events, and its list of subscriptions (P5).

Either may be done at any time, twice, or beside the webhooks: an event counts once, and the newest snapshot wins.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from billing.models import EventFeed, Subscription
from billing.paddle import api, inbox, schemas, snapshots
from billing.paddle.api import PaddleFault
from billing.paddle.schemas import MalformedData

FEED = "events"
FRESH = timedelta(hours=2)
# An event may become visible after one with a later id: the newest are read once more the next time.
SETTLES_WITHIN = timedelta(minutes=5)
COMPARED = (
    "status",
    "price_id",
    "period_starts_at",
    "period_ends_at",
    "next_billed_at",
    "change_action",
    "change_at",
    "change_resume_at",
)

logger = logging.getLogger(__name__)
Columns = dict[str, Any]


@dataclass
class Report:
    """The findings of a run. Lists hold Paddle's ids."""

    events_read: int = 0
    events_new: int = 0
    compared: int = 0
    healed: list[str] = field(default_factory=list)  # Differed, and agree now.
    unhealed: list[str] = field(default_factory=list)  # Differ still: what we hold claims to be newer.
    missing: list[str] = field(default_factory=list)  # Live here, and unknown to Paddle.
    unreadable: list[str] = field(default_factory=list)  # Not what Paddle documents.
    fault: PaddleFault | None = None  # It ended the run early; the work until then stays done.

    @property
    def drifted(self) -> int:
        return len(self.healed) + len(self.unhealed) + len(self.missing) + len(self.unreadable)

    def __str__(self) -> str:
        lines = [
            f"Events read: {self.events_read:,}, new: {self.events_new:,}.",
            f"Subscriptions compared: {self.compared:,}.",
        ]
        for words, ids in (
            ("Healed", self.healed),
            ("Still different", self.unhealed),
            ("Live here, unknown to Paddle", self.missing),
            ("Unreadable", self.unreadable),
        ):
            if ids:
                lines.append(f"{words} ({len(ids):,}): {', '.join(ids)}")
        if self.fault:
            lines.append(f"Ended early, and everything above is kept: {self.fault} ({self.fault.code})")
        return "\n".join(lines)


def ensure_fresh(now: datetime) -> bool:
    """Read Paddle's feed if that was last done over two hours ago. Returns whether it is up to date.

    After an outage the feed tells who paid meanwhile: no plan may be ended before.
    """
    fresh = EventFeed.objects.filter(name=FEED, read_at__gt=now - FRESH)
    return fresh.exists() or (not sync(now).fault and fresh.exists())


def sync(now: datetime) -> Report:
    """Read the events that came since the last run, then compare subscriptions and heal those that differ."""
    report = Report()
    try:
        _catch_up(report, now)
        _compare(report, now)
    except PaddleFault as fault:
        report.fault = fault
    if report.drifted or report.fault:
        logger.error(
            "paddle sync: %d differed, fault %s", report.drifted, report.fault.code if report.fault else "none"
        )
    return report


def _catch_up(report: Report, now: datetime) -> None:
    feed, _ = EventFeed.objects.get_or_create(name=FEED)
    for body in api.events_after(feed.after):
        report.events_read += 1
        try:
            event, new = inbox.receive(json.dumps(body).encode(), now=now)
        except MalformedData:
            report.unreadable.append(str(body.get("event_id")))
            continue
        report.events_new += new
        if event.occurred_at < now - SETTLES_WITHIN:
            # Ids grow with time; a run that started earlier doesn't turn this one back.
            EventFeed.objects.filter(name=FEED, after__lt=event.event_id).update(after=event.event_id)
    EventFeed.objects.filter(name=FEED).update(read_at=now)


def _compare(report: Report, now: datetime) -> None:
    ours = {row["id"]: row for row in Subscription.objects.values("id", *COMPARED)}
    listed = set()
    for entity in api.subscriptions():
        listed.add(entity.get("id"))
        report.compared += 1
        _heal(entity, ours.get(entity.get("id")), report, now)
    left_out = Subscription.objects.live().exclude(id__in=listed).order_by("id")
    for subscription_id in left_out.values_list("id", flat=True):
        _look_for(subscription_id, ours.get(subscription_id), report, now)


def _look_for(subscription_id: str, known: Columns | None, report: Report, now: datetime) -> None:
    """One that Paddle's list left out may have begun meanwhile, or ended."""
    try:
        entity = api.subscription(subscription_id)
    except PaddleFault as fault:
        if fault.code != "not_found":
            raise
        report.missing.append(subscription_id)
        return
    report.compared += 1
    _heal(entity, known, report, now)


def _heal(entity: api.Entity, known: Columns | None, report: Report, now: datetime) -> None:
    try:
        if not _differs(entity, known):
            return
        if snapshots.upsert_from_api(entity, now=now):
            report.healed.append(entity["id"])
        elif _still_differs(entity["id"]):
            report.unhealed.append(entity["id"])
    except MalformedData:
        report.unreadable.append(str(entity.get("id")))


def _still_differs(subscription_id: str) -> bool:
    """A webhook may have been faster than the list."""
    known = Subscription.objects.filter(id=subscription_id).values(*COMPARED).first()
    return _differs(api.subscription(subscription_id), known)


def _differs(entity: api.Entity, known: Columns | None) -> bool:
    columns = schemas.read(schemas.SubscriptionData, entity).columns()
    return known is None or any(known[name] != columns[name] for name in COMPARED)
