"""`manage.py paddle_setup` against the simulator, which keeps what a Paddle account would."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from billing.models import PlanPrice
from billing.paddle import api, setup
from billing.simulator.server import Server
from billing.simulator.world import World

pytestmark = pytest.mark.django_db
KEY = "pdl_sdbx_apikey_of_these_tests"
SECRET = "pdl_ntfset_of_the_simulator"
DESTINATION = "https://app.example.com/webhooks/paddle"
Entity = dict[str, Any]


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A Paddle account with nothing in it, which passes for the sandbox."""
    world = World(api_key=KEY, secret=SECRET, payment_link="https://app.example.com/dashboard/billing/pay")
    world.switch("hold", True)
    # The simulator would refuse an https destination, which no real Paddle minds. Nothing is sent there.
    monkeypatch.setattr("billing.simulator.webhooks.settings.urlsplit", lambda url: urlsplit("http://localhost"))
    monkeypatch.setattr("billing.paddle.client.PAUSES", (0.01, 0.02))
    with Server(world, port=0) as server:
        settings.PADDLE_API_URL, settings.PADDLE_API_KEY = server.url, KEY
        settings.PADDLE_SIMULATED, settings.SITE_URL = False, "https://app.example.com"
        settings.PADDLE_MINIMUM_CHARGE = 70
        settings.PADDLE_READ_SECONDS = settings.PADDLE_WRITE_SECONDS = 20
        yield world


def set_up(*arguments: str) -> str:
    out = StringIO()
    call_command("paddle_setup", *arguments, stdout=out)
    return out.getvalue()


def known(kind: str, **filters: str) -> dict[str, Entity]:
    """Returns Paddle's catalogue by our key."""
    return {entity["custom_data"]["sidekick_key"]: entity for entity in api.catalogue(kind, **filters)}


def ours(plan: str, interval: str) -> PlanPrice:
    return PlanPrice.objects.get(plan=plan, interval=interval)


def destination() -> Entity:
    [found] = api.catalogue("notification_setting")
    return found


def test_paddle_gets_a_product_for_each_plan_that_is_sold_and_one_for_credits(world: World) -> None:  # P6
    set_up()
    products = known("product")
    assert {key: product["name"] for key, product in products.items()} == {
        "starter": "Sidekick Starter",
        "pro": "Sidekick Pro",
        "credits": "Sidekick credits",
    }
    prices = known("price")
    assert set(prices) == {"starter-month-usd", "pro-month-usd", "pro-credit-usd"}
    assert prices["pro-credit-usd"]["product_id"] == products["credits"]["id"]
    assert prices["pro-month-usd"]["product_id"] == products["pro"]["id"]


def test_credits_of_two_plans_are_one_product_with_two_prices(world: World) -> None:
    PlanPrice.objects.create(plan_id="starter", interval="credit", amount=20, most=50)
    set_up()
    assert len(list(api.catalogue("product"))) == 3
    prices = known("price")
    assert prices["starter-credit-usd"]["product_id"] == prices["pro-credit-usd"]["product_id"]
    assert prices["starter-credit-usd"]["quantity"] == {"minimum": 4, "maximum": 50}


def test_a_plan_is_billed_every_month_and_had_once(world: World) -> None:  # P6
    set_up()
    price = known("price")["pro-month-usd"]
    assert price["unit_price"] == {"amount": "3900", "currency_code": "USD"}
    assert price["billing_cycle"] == {"interval": "month", "frequency": 1}
    assert price["quantity"] == {"minimum": 1, "maximum": 1}


def test_credits_are_billed_once_within_what_paddle_charges_and_what_we_sell(world: World) -> None:  # P6 B4
    set_up()
    price = known("price")["pro-credit-usd"]
    assert price["unit_price"] == {"amount": "10", "currency_code": "USD"}
    assert price["billing_cycle"] is None
    assert price["quantity"] == {"minimum": 7, "maximum": 300}


def test_our_prices_learn_the_ids_of_paddles(world: World) -> None:  # P6
    set_up()
    prices = known("price")
    assert ours("starter", "month").paddle_price_id == prices["starter-month-usd"]["id"]
    assert ours("pro", "credit").paddle_price_id == prices["pro-credit-usd"]["id"]
    assert set(PlanPrice.objects.filter(amount=0).values_list("paddle_price_id", flat=True)) <= {""}


def test_events_are_sent_to_us_and_only_real_ones(world: World) -> None:  # P6
    set_up()
    found = destination()
    assert (found["destination"], found["traffic_source"], found["active"]) == (DESTINATION, "platform", True)
    assert {event["name"] for event in found["subscribed_events"]} == set(setup.EVENTS)
    assert len(setup.EVENTS) == 28
    assert {"adjustment.created", "adjustment.updated", "subscription.past_due"} < set(setup.EVENTS)


def test_what_to_set_is_printed_and_the_secret_once(world: World) -> None:  # P6
    first, second = set_up(), set_up()
    [token] = [token["token"] for token in api.catalogue("client_token")]
    assert f"PADDLE_CLIENT_TOKEN={token}\n" in first
    assert f"PADDLE_CLIENT_TOKEN={token}\n" in second
    assert f"PADDLE_WEBHOOK_SECRETS={SECRET}\n" in first
    assert SECRET not in second
    assert "PADDLE_WEBHOOK_SECRETS=" not in second
    assert "PADDLE_WEBHOOK_SECRETS stays what it is" in second


def test_again_adds_and_changes_nothing(world: World) -> None:  # P6
    set_up()
    before = {kind: list(api.catalogue(kind)) for kind in ("product", "price", "client_token", "notification_setting")}
    assert set_up().startswith("Paddle has everything already.\n")
    assert {kind: list(api.catalogue(kind)) for kind in before} == before


def test_a_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:  # P6
    said = set_up("--dry-run")
    assert "would make product credits\n" in said
    assert "would make price pro-credit-usd\n" in said
    assert f"would make notification destination {DESTINATION}\n" in said
    assert "PADDLE" not in said
    assert not any(list(api.catalogue(kind)) for kind in ("product", "price", "client_token", "notification_setting"))
    assert not PlanPrice.objects.exclude(paddle_price_id="").exists()


def test_a_dry_run_says_what_it_would_change(world: World) -> None:
    set_up()
    PlanPrice.objects.filter(interval="credit").update(most=500)
    assert set_up("--dry-run") == "would change price pro-credit-usd: quantity\n"
    assert known("price")["pro-credit-usd"]["quantity"]["maximum"] == 300


@pytest.mark.parametrize(
    ("changes", "said", "part", "wanted"),
    [
        ({"amount": 12}, "unit_price, quantity", "unit_price", {"amount": "12", "currency_code": "USD"}),
        ({"most": 500}, "quantity", "quantity", {"minimum": 7, "maximum": 500}),
    ],
)
def test_a_price_that_differs_is_changed_in_place_so_that_subscribers_keep_its_id(
    world: World, changes: dict[str, int], said: str, part: str, wanted: Entity
) -> None:  # P6
    set_up()
    before = ours("pro", "credit").paddle_price_id
    PlanPrice.objects.filter(interval="credit").update(**changes)
    assert f"changed price pro-credit-usd: {said}\n" in set_up()
    assert known("price")["pro-credit-usd"][part] == wanted
    assert ours("pro", "credit").paddle_price_id == before == known("price")["pro-credit-usd"]["id"]


def test_a_price_is_found_by_its_key_when_we_forgot_its_id(world: World) -> None:
    set_up()
    before = ours("pro", "month").paddle_price_id
    PlanPrice.objects.update(paddle_price_id="")
    assert f"would note price pro-month-usd: {before}\n" in set_up("--dry-run")
    assert ours("pro", "month").paddle_price_id == ""
    assert f"noted price pro-month-usd: {before}\n" in set_up()
    assert ours("pro", "month").paddle_price_id == before
    assert ours("pro", "month").former_price_ids == []


def test_a_price_made_by_hand_is_kept_when_we_know_its_id(world: World) -> None:
    product = api.make("product", {"name": "By hand", "tax_category": "saas"})
    body = {"description": "Pro", "unit_price": {"amount": "3900", "currency_code": "USD"}, "product_id": product["id"]}
    made = api.make("price", body | {"billing_cycle": {"interval": "month", "frequency": 1}})
    PlanPrice.objects.filter(plan="pro", interval="month").update(paddle_price_id=made["id"])
    assert "changed price pro-month-usd: quantity\n" in set_up()
    assert ours("pro", "month").paddle_price_id == made["id"]


def test_an_archived_price_is_replaced_and_still_known_as_what_it_was(world: World) -> None:
    set_up()
    former = ours("pro", "month").paddle_price_id
    api.change("price", former, {"status": "archived"})
    assert "made price pro-month-usd" in set_up()
    price = ours("pro", "month")
    assert price.paddle_price_id == known("price", status="active")["pro-month-usd"]["id"] != former
    assert price.former_price_ids == [former]
    assert PlanPrice.objects.by_paddle_id([former]) == {former: price, price.paddle_price_id: price}


def test_a_price_of_an_archived_product_is_replaced(world: World) -> None:
    set_up()
    former = ours("pro", "credit").paddle_price_id
    api.change("product", known("product")["credits"]["id"], {"status": "archived"})
    assert "made product credits" in set_up()
    assert ours("pro", "credit").paddle_price_id != former
    assert ours("pro", "month").former_price_ids == []


def test_a_destination_that_differs_is_put_right_and_keeps_what_else_it_gets(world: World) -> None:
    set_up()
    events = ["transaction.completed", "payout.paid"]
    changes = {"subscribed_events": events, "active": False, "traffic_source": "all"}
    api.change("notification_setting", destination()["id"], changes)
    assert f"changed notification destination {DESTINATION}: active, traffic_source, subscribed_events\n" in set_up()
    found = destination()
    assert (found["active"], found["traffic_source"]) == (True, "platform")
    assert {event["name"] for event in found["subscribed_events"]} == {*setup.EVENTS, "payout.paid"}


def test_another_destination_is_left_alone(world: World) -> None:
    other = world.subscribe("https://elsewhere.example.com/webhooks/paddle", ["payout.paid"])
    set_up()
    found = {setting["destination"]: setting for setting in api.catalogue("notification_setting")}
    assert set(found) == {other["destination"], DESTINATION}
    assert [event["name"] for event in found[other["destination"]]["subscribed_events"]] == ["payout.paid"]


def test_an_address_that_paddle_cannot_reach_is_left_out(world: World, settings: Settings) -> None:
    settings.SITE_URL = "http://localhost:8000"
    assert "left out notification destination http://localhost:8000/webhooks/paddle" in set_up()
    assert not list(api.catalogue("notification_setting"))


def test_the_simulator_is_set_up_the_same_and_needs_nothing_set(world: World, settings: Settings) -> None:
    settings.PADDLE_SIMULATED, settings.SITE_URL = True, "http://localhost:8000"
    said = set_up()
    assert "made notification destination http://localhost:8000/webhooks/paddle" in said
    assert "PADDLE_" not in said
    assert SECRET not in said


def test_nothing_is_tried_without_a_key(world: World, settings: Settings) -> None:
    settings.PADDLE_API_KEY = ""
    with pytest.raises(CommandError, match="PADDLE_API_KEY is not set"):
        set_up()


def test_a_wrong_key_is_said(world: World, settings: Settings) -> None:
    settings.PADDLE_API_KEY = "another"
    with pytest.raises(CommandError, match="forbidden"):
        set_up()


@pytest.mark.parametrize("kind", ["unanswered", "error", "html", "closed"])
@pytest.mark.parametrize("path", ["/products", "/prices", "/client-tokens", "/notification-settings"])
def test_what_was_made_before_a_fault_is_found_the_next_time(world: World, kind: str, path: str) -> None:
    world.faults.add(kind, method="POST", path=path)
    with pytest.raises(CommandError, match="run this again"):
        set_up()
    set_up()
    assert len(list(api.catalogue("product"))) == 3
    assert len(list(api.catalogue("price"))) == 3
    assert len(list(api.catalogue("client_token"))) == 1
    assert len(list(api.catalogue("notification_setting"))) == 1
    assert not PlanPrice.objects.filter(amount__gt=0, paddle_price_id="").exists()
