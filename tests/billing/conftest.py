from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from billing.models import PlanPrice
from tests.billing.bodies import CREDIT, PRO, SECRET, STARTER, YEAR_OF_PRO, YEAR_OF_STARTER


@pytest.fixture(autouse=True)
def _paddle_signs_with_our_secret(settings: Settings) -> None:
    settings.PADDLE_WEBHOOK_SECRETS = [SECRET]
    settings.PADDLE_WEBHOOK_MAX_AGE = timedelta(seconds=300)


@pytest.fixture
def sold(db: None) -> None:
    """Everything is for sale at Paddle, by the month and by the year."""
    PlanPrice.objects.filter(plan="starter", interval="month").update(paddle_price_id=STARTER)
    PlanPrice.objects.filter(plan="pro", interval="month").update(paddle_price_id=PRO)
    PlanPrice.objects.filter(plan="pro", interval="credit").update(paddle_price_id=CREDIT)
    PlanPrice.objects.create(plan_id="starter", interval="year", amount=15000, paddle_price_id=YEAR_OF_STARTER)
    PlanPrice.objects.create(plan_id="pro", interval="year", amount=39000, paddle_price_id=YEAR_OF_PRO)
