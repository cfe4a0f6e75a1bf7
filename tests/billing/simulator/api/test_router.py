"""The API's manners: keys, errors, pages, and what each kind of entity can do."""

from __future__ import annotations

import pytest

from billing.simulator.api import router
from billing.simulator.http import Request
from tests.billing.simulator.shop import LINK, MONTH, ApiError, Shop

ULID = 26


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
    # A product's include is only looked at where there are products, which there are.
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


def test_ids_are_ulids_that_grow_with_creation(shop: Shop) -> None:
    ids = [shop.customer(f"{number}@example.com") for number in range(50)]
    assert ids == sorted(ids)
    assert {len(identifier.partition("_")[2]) for identifier in ids} == {ULID}
    assert {identifier.partition("_")[0] for identifier in ids} == {"ctm"}


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


# Catalogue


def test_a_product_shows_its_prices_and_a_price_its_product(shop: Shop) -> None:
    product = shop.get(f"/products/{shop.product['pro']}?include=prices")
    assert [price["id"] for price in product["prices"]] == [shop.price["pro"]]
    price = shop.get(f"/prices/{shop.price['pro']}?include=product")
    assert price["product"]["id"] == shop.product["pro"]
    first, *_ = shop.get("/prices?include=product&order_by=id[ASC]")
    assert first["product"]["name"] == "Sidekick starter"


def test_a_price_is_changed_in_place(shop: Shop) -> None:
    changed = shop.patch(
        f"/prices/{shop.price['credit']}",
        unit_price={"amount": "12", "currency_code": "USD"},
        quantity={"minimum": 6, "maximum": 300},
    )
    assert changed["unit_price"]["amount"] == "12"
    assert changed["id"] == shop.price["credit"]
    assert shop.last("price.updated")["data"]["quantity"] == {"minimum": 6, "maximum": 300}


def test_an_archived_price_is_hidden_and_not_sold(shop: Shop) -> None:
    shop.patch(f"/prices/{shop.price['credit']}", status="archived")
    assert shop.price["credit"] not in {row["id"] for row in shop.get("/prices")}
    assert shop.price["credit"] in {row["id"] for row in shop.get("/prices?status=active,archived")}
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 10)
    assert refused.value.code == "transaction_price_not_found"


def test_a_trial_needs_a_billing_cycle(shop: Shop) -> None:
    with pytest.raises(ApiError) as refused:
        shop.sell("odd", 100, trial_period=MONTH)
    assert refused.value.code == "price_trial_period_requires_billing_cycle"


# Customers


def test_an_email_belongs_to_one_customer_whom_the_refusal_names(shop: Shop) -> None:
    first = shop.customer("alice@example.com")
    with pytest.raises(ApiError) as refused:
        shop.customer("Alice@example.com")
    assert (refused.value.status, refused.value.code) == (409, "customer_already_exists")
    assert first in refused.value.detail
    other = shop.customer("charlie@example.com")
    with pytest.raises(ApiError) as refused:
        shop.patch(f"/customers/{other}", email="alice@example.com")
    assert refused.value.code == "customer_already_exists"


def test_customers_are_found_by_exact_email_and_hidden_when_archived(shop: Shop) -> None:
    alice = shop.customer("alice@example.com", custom_data={"account_id": "a"})
    shop.customer("alice@example.com.au")
    assert [row["id"] for row in shop.get("/customers?email=alice@example.com")] == [alice]
    shop.patch(f"/customers/{alice}", status="archived")
    assert shop.get("/customers?email=alice@example.com") == []
    [found] = shop.get("/customers?email=alice@example.com&status=active,archived")
    assert found["custom_data"] == {"account_id": "a"}


def test_a_portal_session_is_for_own_subscriptions_only(shop: Shop) -> None:
    alice, charlie = shop.customer("alice@example.com"), shop.customer("charlie@example.com")
    theirs = shop.subscribe(customer_id=charlie)
    mine = shop.subscribe(customer_id=alice)
    urls = shop.post(f"/customers/{alice}/portal-sessions", subscription_ids=[mine])["urls"]
    assert urls["general"]["overview"].startswith(f"http://localhost:8010/portal/{alice}?")
    assert urls["subscriptions"][0]["id"] == mine
    with pytest.raises(ApiError) as refused:
        shop.post(f"/customers/{alice}/portal-sessions", subscription_ids=[theirs])
    assert refused.value.code == "not_found"


def test_a_customer_has_an_auth_token(shop: Shop) -> None:
    token = shop.post(f"/customers/{shop.customer()}/auth-token")
    assert token["customer_auth_token"].startswith("pca_")
    assert token["expires_at"].endswith("Z")


# Transactions


def test_a_transaction_leads_to_the_payment_link(shop: Shop) -> None:
    made = shop.order("credit", 137, customer_id=shop.customer(), custom_data={"purchase_id": "p1"})
    assert made["status"] == "draft"
    assert made["checkout"]["url"] == f"{LINK}?_ptxn={made['id']}"
    assert made["custom_data"] == {"purchase_id": "p1"}


@pytest.mark.parametrize("quantity", [-1, 0, 301])
def test_a_quantity_outside_the_prices_limits_is_refused(shop: Shop, quantity: int) -> None:
    with pytest.raises(ApiError) as refused:
        shop.order("credit", quantity)
    assert refused.value.code == "transaction_item_quantity_out_of_range"
    assert shop.world.state.transactions.rows() == []


@pytest.mark.parametrize("quantity", [7, 300])
def test_what_reaches_the_minimum_charge_is_sold(shop: Shop, quantity: int) -> None:
    assert shop.order("credit", quantity)["status"] == "draft"


def test_less_than_the_minimum_charge_is_refused(shop: Shop) -> None:
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 6)
    assert refused.value.code == "transaction_balance_less_than_charge_limit"
    assert shop.world.state.transactions.rows() == []


def test_transactions_are_listed_by_customer_subscription_and_status(shop: Shop) -> None:
    alice, charlie = shop.customer("alice@example.com"), shop.customer("charlie@example.com")
    mine = shop.subscribe(customer_id=alice)
    waiting = shop.order("credit", 10, customer_id=alice)["id"]
    shop.order("credit", 10, customer_id=charlie)
    assert {row["customer_id"] for row in shop.get(f"/transactions?customer_id={alice}")} == {alice}
    assert len(shop.get(f"/transactions?customer_id={alice}")) == 2
    assert [row["subscription_id"] for row in shop.get(f"/transactions?subscription_id={mine}")] == [mine]
    assert [row["id"] for row in shop.get(f"/transactions?customer_id={alice}&status=draft,ready")] == [waiting]


def test_only_an_unpaid_transaction_is_canceled(shop: Shop) -> None:
    waiting, paid = shop.order("credit", 10), shop.buy("credit", 10)
    assert shop.patch(f"/transactions/{waiting['id']}", status="canceled")["status"] == "canceled"
    assert shop.events(waiting["id"])[-1] == "transaction.canceled"
    for transaction in (waiting, paid):
        with pytest.raises(ApiError) as refused:
            shop.patch(f"/transactions/{transaction['id']}", status="canceled")
        assert refused.value.code == "transaction_immutable"


def test_a_preview_of_a_transaction_makes_none(shop: Shop) -> None:
    items = [{"price_id": shop.price["credit"], "quantity": 100}]
    shown = shop.post("/transactions/preview", items=items, address={"country_code": "US", "postal_code": "10021"})
    assert shown["details"]["totals"]["grand_total"] == "1200"
    assert shop.world.state.transactions.rows() == []


def test_another_customers_address_is_refused(shop: Shop) -> None:
    paid = shop.buy("credit", 10, customer_id=shop.customer("alice@example.com"))
    charlie = shop.customer("charlie@example.com")
    with pytest.raises(ApiError) as refused:
        shop.order("credit", 10, customer_id=charlie, address_id=paid["address_id"])
    assert refused.value.code == "not_found"


def test_a_known_address_makes_a_transaction_ready_and_taxed(shop: Shop) -> None:
    paid = shop.buy("credit", 10, customer_id=shop.customer())
    made = shop.order("credit", 100, customer_id=paid["customer_id"], address_id=paid["address_id"])
    assert made["status"] == "ready"
    assert made["details"]["totals"]["grand_total"] == "1200"


# Feed, settings, tokens


def test_the_feed_is_read_on_from_a_cursor(shop: Shop) -> None:
    shop.buy("credit", 10)
    every = shop.get("/events?order_by=id[ASC]&per_page=200")
    assert set(every[0]) == {"event_id", "event_type", "occurred_at", "data"}
    cursor = every[-3]["event_id"]
    after = shop.get(f"/events?order_by=id[ASC]&after={cursor}")
    assert [row["event_id"] for row in after] == [row["event_id"] for row in every[-2:]]
    assert {row["event_type"] for row in shop.get("/events?event_type=transaction.paid")} == {"transaction.paid"}


def test_every_event_has_a_moment_of_its_own(shop: Shop) -> None:
    shop.subscribe()
    moments = [row["occurred_at"] for row in shop.world.state.events()]
    assert moments == sorted(set(moments))


def test_a_notification_setting_is_made_changed_and_deleted(shop: Shop) -> None:
    wanted = {"description": "d", "destination": "http://localhost:8000/w", "subscribed_events": ["customer.created"]}
    made = shop.post("/notification-settings", **wanted, traffic_source="platform")
    assert made["endpoint_secret_key"] == "pdl_ntfset_of_these_tests"
    assert [event["name"] for event in made["subscribed_events"]] == ["customer.created"]
    path = f"/notification-settings/{made['id']}"
    changed = shop.patch(path, subscribed_events=["transaction.paid"], active=False)
    assert [event["name"] for event in changed["subscribed_events"]] == ["transaction.paid"]
    assert shop.get("/notification-settings")[0]["active"] is False
    assert shop.call("DELETE", path) is None
    assert shop.get("/notification-settings") == []


@pytest.mark.parametrize("destination", ["https://example.com/w", "http://example.com/w", "ftp://localhost/w", "x"])
def test_webhooks_stay_on_this_machine(shop: Shop, destination: str) -> None:
    wanted = {"description": "d", "destination": destination, "subscribed_events": ["customer.created"]}
    with pytest.raises(ApiError) as refused:
        shop.post("/notification-settings", **wanted)
    assert refused.value.errors[0]["field"] == "destination"


def test_an_unknown_event_type_is_refused(shop: Shop) -> None:
    wanted = {"description": "d", "destination": "http://localhost/w", "subscribed_events": ["customer.exploded"]}
    with pytest.raises(ApiError) as refused:
        shop.post("/notification-settings", **wanted)
    assert refused.value.errors[0]["field"] == "subscribed_events"
    assert "transaction.completed" in {row["name"] for row in shop.get("/event-types")}


def test_client_tokens_are_made_and_listed(shop: Shop) -> None:
    made = shop.post("/client-tokens", name="Sidekick", description="checkout")
    assert made["token"].startswith("test_")
    assert [row["id"] for row in shop.get("/client-tokens?status=active")] == [made["id"]]
