from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from tests.billing.paddle import SECRET


@pytest.fixture(autouse=True)
def _paddle_signs_with_our_secret(settings: Settings) -> None:
    settings.PADDLE_WEBHOOK_SECRETS = [SECRET]
    settings.PADDLE_WEBHOOK_MAX_AGE = timedelta(seconds=300)
