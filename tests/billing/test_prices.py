"""Which of our prices Paddle's ids stand for."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from billing.models import PlanPrice
from tests.billing.bodies import PRO, STARTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sold")]


def test_what_is_sold_now_wins_over_what_was_sold_before() -> None:  # P3
    PlanPrice.objects.filter(paddle_price_id=PRO).update(former_price_ids=[STARTER])
    assert PlanPrice.objects.by_paddle_id([STARTER])[STARTER].plan_id == "starter"


def test_one_id_stands_for_one_price() -> None:  # O1
    pro = PlanPrice.objects.get(paddle_price_id=PRO)
    pro.full_clean()
    pro.former_price_ids = [STARTER]
    with pytest.raises(ValidationError, match="Another price"):
        pro.full_clean()
