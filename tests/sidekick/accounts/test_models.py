from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from sidekick.accounts.models import User


def test_an_account_has_the_zone_it_names() -> None:
    assert User(time_zone="Asia/Kathmandu").zone == ZoneInfo("Asia/Kathmandu")


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "a\0b", "x" * 300]
)
def test_a_zone_nobody_knows_is_utc(name: str) -> None:
    assert User(time_zone=name).zone == ZoneInfo("UTC")
