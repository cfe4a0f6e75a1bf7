"""Files of usage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidekick.accounts.models import User

ForFile = Callable[[str, str | bytes], Path]


@pytest.fixture
def file(tmp_path: Path) -> ForFile:
    def file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


@pytest.fixture
def older(request: pytest.FixtureRequest) -> None:
    """The accounts of the test signed up before all the usage of the files."""
    for name in {"alice", "charlie"} & set(request.fixturenames):
        account = request.getfixturevalue(name)
        User.objects.filter(id=account.id).update(date_joined=datetime(2020, 1, 1, tzinfo=UTC))
