"""Prices: the ids that Paddle knows them by, and which plan is the larger one."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from pytest_django import DjangoAssertNumQueries

from billing.models import PlanPrice
from credits.models import Plan
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


def studio() -> Plan:
    """A plan that costs more than Pro and gives fewer credits."""
    plan = Plan.objects.create(slug="studio", name="Studio", position=9, monthly_credits=800)
    PlanPrice.objects.create(plan=plan, interval="month", amount=9900, paddle_price_id="pri_studio")
    return plan


def test_a_dearer_plan_with_fewer_credits_is_the_larger_one() -> None:  # M9
    plan, pro = studio(), Plan.objects.get(slug="pro")
    assert plan.is_larger_than(pro)
    assert not pro.is_larger_than(plan)
    assert not pro.is_larger_than(Plan.objects.get(slug="pro"))
    assert pro.is_larger_than(Plan.objects.get(slug="free"))


def test_a_plan_sold_by_the_year_alone_is_compared_by_a_twelfth_of_it() -> None:  # M9
    plan = Plan.objects.create(slug="studio", name="Studio", position=9, monthly_credits=5000)
    PlanPrice.objects.create(plan=plan, interval="year", amount=99900, paddle_price_id="pri_studio")
    assert plan.is_larger_than(Plan.objects.get(slug="pro"))
    found = PlanPrice.objects.by_paddle_id(["pri_studio", PRO])
    assert found["pri_studio"].plan.is_larger_than(found[PRO].plan)
    assert found["pri_studio"].plan.monthly_amount == plan.monthly_amount == 8325


def test_prices_bring_what_comparing_their_plans_needs(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    studio()
    with django_assert_num_queries(1):
        found = PlanPrice.objects.by_paddle_id(["pri_studio", PRO])
        assert found["pri_studio"].plan.is_larger_than(found[PRO].plan)


def test_plans_are_for_sale_without_free_and_without_credits() -> None:  # B6
    PlanPrice.objects.filter(paddle_price_id=PRO).update(paddle_price_id="")
    sold = [f"{price.plan_id} {price.interval}" for price in PlanPrice.objects.for_sale()]
    assert sold == ["starter month", "starter year", "pro month", "pro year"]
    sold = [f"{price.plan_id} {price.interval}" for price in PlanPrice.objects.for_sale().known_to_paddle()]
    assert sold == ["starter month", "starter year", "pro year"]
