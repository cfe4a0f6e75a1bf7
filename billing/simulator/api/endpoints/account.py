"""What belongs to the account: tokens for the browser, and the past that demo accounts get."""

from __future__ import annotations

from billing.simulator import schemas
from billing.simulator.api import bodies
from billing.simulator.api.calls import Call, Done, Route, listed
from billing.simulator.api.listing import Page
from billing.simulator.commerce import history
from billing.simulator.schemas import iso
from billing.simulator.state import State


def create_token(call: Call, state: State) -> Done:
    sent = bodies.given(bodies.read(bodies.NewToken, call.body))
    return Done(state.add(schemas.client_token(state.new_id("ctkn"), iso(state.moment()), sent)))


def list_tokens(call: Call, state: State) -> Page:
    return listed(call, state, "ctkn", "status")


def tell_history(call: Call, state: State) -> Done:
    return Done(history.tell(state, bodies.read(bodies.History, call.body)))


ROUTES: list[Route] = [
    ("POST", "/client-tokens", create_token),
    ("GET", "/client-tokens", list_tokens),
    ("POST", "/simulator/history", tell_history),
]
