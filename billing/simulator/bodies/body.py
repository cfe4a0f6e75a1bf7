"""The base of all bodies: reading them, and turning them into plain data."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints, ValidationError

from billing.simulator.errors import RequestError

Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,12}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
CustomData = dict[str, JsonValue] | None


class Body(BaseModel):
    # Paddle refuses unknown fields, and a number in the place of a string.
    model_config = ConfigDict(extra="forbid", strict=True)


B = TypeVar("B", bound=Body)


def read(model: type[B], raw: bytes) -> B:
    """Returns a request's body. Raises `RequestError` `invalid_field` with one message for each field."""
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        if faults[0]["type"] == "json_invalid":
            raise RequestError("bad_request", "The body is not JSON.") from error
        pairs = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults]
        raise RequestError("invalid_field", "Request does not pass validation.", errors=pairs) from error


def given(body: Body) -> Any:
    """Returns the fields that the caller sent, each of them complete, as plain data.

    `Any`, because the model has checked names and types: an entity takes the fields as they are.
    """
    # `exclude_unset` would leave out the defaults inside a field, too.
    every = body.model_dump()
    return {name: every[name] for name in every if name in body.model_fields_set}


def plain(body: Body | None) -> Any:
    """Returns a part of a body as plain data, or None."""
    return body and body.model_dump()
