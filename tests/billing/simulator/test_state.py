"""Ids, events, and the state file."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing.simulator.world import World
from tests.billing.simulator.shop import KEY, LINK, SECRET, ApiError, Shop

ULID = 26


def test_ids_are_ulids_that_grow_with_creation(shop: Shop) -> None:
    ids = [shop.customer(f"{number}@example.com") for number in range(50)]
    assert ids == sorted(ids)
    assert {len(identifier.partition("_")[2]) for identifier in ids} == {ULID}
    assert {identifier.partition("_")[0] for identifier in ids} == {"ctm"}


def test_every_event_has_a_moment_of_its_own(shop: Shop) -> None:
    shop.subscribe()
    moments = [row["occurred_at"] for row in shop.world.state.events()]
    assert moments == sorted(set(moments))


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "paddle.json"
    shop = Shop(state=path)
    subscription = shop.subscribe()
    shop.world.fail_next_payment(subscription)
    shop.world.switch("hold", True)
    shop.world.subscribe("http://localhost:9/")
    shop.get(f"/subscriptions/{subscription}/update-payment-method-transaction")
    again = World(api_key=KEY, secret=SECRET, payment_link=LINK, state=path)
    assert again.state.memory == shop.world.state.memory
    again.renew(subscription)
    assert again.state.subscriptions.get(subscription)["status"] == "past_due"
    assert list(path.parent.iterdir()) == [path]


def test_a_refused_call_is_not_remembered_half(tmp_path: Path) -> None:
    shop = Shop(state=tmp_path / "paddle.json")
    shop.customer("alice@example.com")
    before, known = (tmp_path / "paddle.json").read_text(), len(shop.events())
    past = {"customer": {"email": "b@example.com"}, "started_at": "2026-01-01T00:00:00Z", "price_id": "pri_unknown"}
    with pytest.raises(ApiError):
        shop.post("/simulator/history", **past)
    assert [row["email"] for row in shop.world.state.customers.rows()] == ["alice@example.com"]
    assert len(shop.events()) == known
    with pytest.raises(ApiError):
        shop.order("credit", 1000)
    assert (tmp_path / "paddle.json").read_text() == before


def test_every_setting_has_the_secret_of_this_start(tmp_path: Path) -> None:
    Shop(state=tmp_path / "s.json").world.subscribe("http://localhost:9/")
    again = World(api_key=KEY, secret="pdl_ntfset_another", payment_link=LINK, state=tmp_path / "s.json")
    assert again.state.settings.rows()[0]["endpoint_secret_key"] == "pdl_ntfset_another"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rest": {"colour": 1}, "events": {}}'])
def test_a_file_that_is_no_state_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="Delete it"):
        Shop(state=path)
    assert path.read_text() == text


def test_the_oldest_events_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("billing.simulator.state.EVENTS_KEPT", 20)
    shop = Shop()
    shop.world.subscribe("http://localhost:9/")
    for number in range(30):
        shop.customer(f"{number}@example.com")
    assert len(shop.get("/events?per_page=200")) == 20
    assert len(shop.get("/notifications?per_page=200")) == 20
