"""The errors with which the simulator refuses a call, in the words and statuses of Paddle."""

from __future__ import annotations

from collections.abc import Sequence

STATUSES = {
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "customer_already_exists": 409,
    "conflict": 409,
}


class RequestError(Exception):
    """A call that changes nothing. `code` is Paddle's, `errors` are pairs of field and message."""

    def __init__(self, code: str, detail: str, *, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = list(errors)

    @property
    def status(self) -> int:
        return STATUSES.get(self.code, 400)

    @property
    def message(self) -> str:
        """The sentence for people: of the first wrong field, if one is named."""
        return self.errors[0][1] if self.errors else self.detail


def invalid_field(field: str, message: str) -> RequestError:
    return RequestError("invalid_field", "Request does not pass validation.", errors=[(field, message)])


def not_found(identifier: str) -> RequestError:
    return RequestError("not_found", f"Entity {identifier} not found.")
