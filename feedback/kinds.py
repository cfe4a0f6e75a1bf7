"""The kinds of reports. Every word and icon that differs between them stands here; a new kind is a new member."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from django.db import models


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one kind, in pages, emails and references."""

    # Of references: BUG in BUG-1042.
    prefix: str
    # Continues "Thank you, we have your …".
    noun: str
    # The name of a file in `templates/icons`.
    icon: str
    # The form: its link in the navigation, the browser's title, its heading and the sentence above it.
    tab: str
    title: str
    heading: str
    lead: str
    # Below the description, and instead of it when it is empty.
    hint: str
    missing: str
    button: str
    # The link on the confirmation that leads back to the form.
    another: str


class Kind(models.TextChoices):
    """Values are stored and part of addresses: at most ten small letters. The first kind is what the tab opens."""

    wording: Wording

    # Type checkers take this signature for that of a look-up, too: `Kind("bug")` gives no wording.
    def __new__(cls, value: str, *wording: Wording) -> Self:
        kind = str.__new__(cls, value)
        kind._value_ = value
        (kind.wording,) = wording
        return kind

    BUG = (
        "bug",
        Wording(
            prefix="BUG",
            noun="bug report",
            icon="bug",
            tab="Report Bug",
            title="Feedback",
            heading="Report a bug",
            lead="Something broke or looks wrong? Tell us, and follow what becomes of it.",
            hint="What did you do, what happened, what did you expect?",
            missing="Describe what happened, and what you expected instead.",
            button="Submit Bug Report",
            another="Report another bug",
        ),
        "Bug",
    )
    FEATURE = (
        "feature",
        Wording(
            prefix="IDEA",
            noun="feature request",
            icon="lightbulb",
            tab="Request Feature",
            title="Request a feature",
            heading="Request a feature",
            lead="Something is missing? Tell us what you would like to do.",
            hint="What would it let you do, and how do you manage today?",
            missing="Describe what you would like to do.",
            button="Submit Feature Request",
            another="Request another feature",
        ),
        "Feature request",
    )


def number_in(reference: str) -> int | None:
    """The number of a report's reference, written as BUG-1042, "bug 1042" or "bug1042"; None for anything else."""
    prefixes = "|".join(kind.wording.prefix for kind in Kind)
    found = re.fullmatch(rf"\s*(?:{prefixes})[-\s]?([0-9]{{1,15}})\s*", reference, re.ASCII | re.IGNORECASE)
    return int(found[1]) if found else None
