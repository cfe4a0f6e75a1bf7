"""Client tokens, and the past that demo accounts get."""

from __future__ import annotations

from billing.simulator.api.listing import Page, fields, paged
from billing.simulator.api.routes import Result, Route
from billing.simulator.bodies.body import read
from billing.simulator.bodies.history import History
from billing.simulator.bodies.notifications import NewToken
from billing.simulator.commerce import history
from billing.simulator.http import Request
from billing.simulator.schemas import notifications as schemas
from billing.simulator.schemas.times import iso
from billing.simulator.state import State


def create_token(request: Request, state: State) -> Result:
    body = read(NewToken, request.body)
    identifier, now = state.new_id("ctkn"), iso(state.moment())
    made = schemas.client_token(identifier, now, name=body.name, description=body.description)
    return Result(state.client_tokens.add(made))


def list_tokens(request: Request, state: State) -> Page:
    return paged(request, state.client_tokens.rows(), fields("status"))


def create_history(request: Request, state: State) -> Result:
    return Result(history.create(state, read(History, request.body)))


ROUTES: list[Route] = [
    ("POST", "/client-tokens", create_token),
    ("GET", "/client-tokens", list_tokens),
    # Not Paddle's.
    ("POST", "/simulator/history", create_history),
]
