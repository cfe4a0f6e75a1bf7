"""The API as a whole: keys, errors, and pages of lists."""

from __future__ import annotations

import pytest

from billing.simulator.api import router
from billing.simulator.http import Request
from tests.billing.simulator.shop import ApiError, Shop


def test_a_call_without_the_key_is_forbidden(shop: Shop) -> None:
    for key in ("", "pdl_another_key"):
        with pytest.raises(ApiError) as refused:
            shop.call("GET", "/customers", key=key)
        assert (refused.value.status, refused.value.code) == (403, "forbidden")


def test_errors_have_paddles_shape(shop: Shop) -> None:  # P7
    status, answer = router.respond(shop.world, Request("GET", "/customers"))
    assert status == 403
    assert answer
    assert set(answer) == {"error", "meta"}
    assert set(answer["error"]) == {"type", "code", "detail", "documentation_url"}
    assert set(answer["meta"]) == {"request_id"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/transactions/txn_01kjpxe0m12359x5ma4pc5q2an", 404, "not_found"),
        ("GET", "/subscriptions/sub_01kjpxe0m12359x5ma4pc5q2an", 404, "not_found"),
        ("GET", "/customers/txn_01kjpxe0m12359x5ma4pc5q2an", 404, "not_found"),
        ("GET", "/transactions/../customers", 404, "not_found"),
        ("DELETE", "/customers", 405, "method_not_allowed"),
        ("GET", "/customers?colour=red", 400, "invalid_field"),
        ("GET", "/customers?per_page=0", 400, "invalid_field"),
        ("GET", "/customers?order_by=[ASC]", 400, "invalid_field"),
        ("GET", "/products?include=secrets", 400, "invalid_field"),
    ],
)
def test_what_makes_no_sense_is_refused(shop: Shop, method: str, path: str, status: int, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        shop.call(method, path)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_an_unknown_missing_or_mistyped_field_is_named(shop: Shop) -> None:
    with pytest.raises(ApiError) as refused:
        shop.post("/customers", name=3, colour="red")
    assert refused.value.code == "invalid_field"
    assert {error["field"] for error in refused.value.errors} == {"email", "name", "colour"}
    assert shop.world.state.customers.rows() == []
    with pytest.raises(ApiError) as refused:
        shop.post("/transactions", items=[{"price_id": shop.price["credit"], "quantity": "10"}])
    assert [error["field"] for error in refused.value.errors] == ["items.0.quantity"]


def test_pages_follow_the_cursor_in_either_direction(shop: Shop) -> None:
    ids = [shop.customer(f"{number}@example.com") for number in range(5)]
    newest = shop.call("GET", "/customers?per_page=2")
    assert [row["id"] for row in newest["data"]] == ids[:2:-1]
    pagination = newest["meta"]["pagination"]
    assert pagination == {
        "per_page": 2,
        "next": f"http://localhost:8010/customers?per_page=2&after={ids[3]}",
        "has_more": True,
        "estimated_total": 5,
    }
    found, path = [], "/customers?per_page=2&order_by=id[ASC]"
    for _ in range(3):
        page = shop.call("GET", path)
        found += [row["id"] for row in page["data"]]
        path = page["meta"]["pagination"]["next"].removeprefix("http://localhost:8010").replace("%5B", "[")
        path = path.replace("%5D", "]")
    assert found == ids
    assert page["meta"]["pagination"]["has_more"] is False
    assert "after=" in page["meta"]["pagination"]["next"]


@pytest.mark.parametrize(
    ("path", "size"),
    [("/customers", 50), ("/customers?per_page=500", 200), ("/transactions?per_page=200", 30), ("/transactions", 30),
     ("/adjustments", 10), ("/adjustments?per_page=200", 50), ("/events?per_page=7", 7)],
)  # fmt: skip
def test_pages_have_paddles_sizes(shop: Shop, path: str, size: int) -> None:
    assert shop.call("GET", path)["meta"]["pagination"]["per_page"] == size


def test_a_response_does_not_change_with_its_entity(shop: Shop) -> None:
    made = shop.post("/customers", email="alice@example.com", name="Alice")
    read = shop.get(f"/customers/{made['id']}")
    shop.patch(f"/customers/{made['id']}", name="Alicia")
    assert (made["name"], read["name"]) == ("Alice", "Alice")
