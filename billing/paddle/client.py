"""The client of Paddle's API: paddle-billing-client as transport and table of endpoints, answers as dictionaries.

Its response models are not used: they refuse values that Paddle adds at will, after a write has happened. Its
webhook helper isn't either (see `signature.py`). Importing this module takes a fifth of a second, so `api.py` waits
until it is needed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NoReturn
from urllib.parse import urlsplit

from apiclient.authentication_methods import HeaderAuthentication
from apiclient.exceptions import UnexpectedError
from paddle_billing_client import client as library
from paddle_billing_client import endpoints as library_endpoints

from billing.paddle.errors import PaddleFault
from billing.paddle.transport import Answer, Entity, ErrorAnswer, JsonBody, Wire, unanswered
from sidekick.serving.shares import EXTERNAL_SERVICES

Method = Literal["POST", "PATCH"]

ID = re.compile(r"[a-z]+_[a-z0-9]{26}")
# Before the second and the third attempt of a read. A write is never sent twice, and what was slow once would keep
# a page waiting for three times as long.
PAUSES = (0.2, 0.6)
WORTH_ANOTHER_TRY = {"unreachable", "broken"}
# In seconds, for customers whose request was `not_asked`.
RETRY_AFTER = 10

logger = logging.getLogger(__name__)
# At DEBUG these two write request bodies and query strings, and with them customers' names and emails.
for _name in ("apiclient.client", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.INFO)


class Endpoints(library_endpoints.Endpoints):  # type: ignore[misc]
    """The library's table, and what it lacks."""

    create_portal_session: str = "customers/{customer_id}/portal-sessions"
    list_client_tokens: str = "client-tokens"
    create_client_token: str = "client-tokens"  # noqa: S105


class Client(library.PaddleApiClient):  # type: ignore[misc]
    """One connection pool, one key. Every method raises `PaddleFault`, and nothing else when the network fails."""

    def __init__(self, base_url: str, api_key: str, *, read_seconds: int, write_seconds: int) -> None:
        self.base_url = base_url.rstrip("/")
        super().__init__(
            base_url=self.base_url,
            authentication_method=HeaderAuthentication(token=api_key, extra={"Paddle-Version": "1"}),
            request_formatter=JsonBody,
            response_handler=Answer,
            error_handler=ErrorAnswer,
        )
        self.endpoints = Endpoints(base_url=self.base_url)
        session = self.get_session()
        # Neither a .netrc nor a proxy variable may see the key.
        session.trust_env = False
        for scheme in ("https://", "http://"):
            session.mount(scheme, Wire(read_seconds, write_seconds))

    def clone(self) -> NoReturn:
        """The library's clone forgets the address and talks to the sandbox."""
        raise NotImplementedError("Make another Client instead.")

    def read(self, endpoint: str, /, params: dict[str, str] | None = None, **ids: str) -> Entity:
        """Returns the entity at one of `Endpoints`, with its ids filled in. Tried up to three times."""
        data: Entity = self._read(self._url(endpoint, ids), dict, params)["data"]
        return data

    def pages(self, endpoint: str, /, **params: str) -> Iterator[Entity]:
        """Yields every entity of a list; pages are read as they are needed."""
        link: str | None = self._url(endpoint, {})
        query: dict[str, str] | None = params
        while link:
            answer = self._read(link, list, query)
            yield from answer["data"]
            following = self._next(answer)
            if following == link:
                raise PaddleFault("broken")
            link, query = following, None

    def write(self, method: Method, endpoint: str, body: Entity, /, **ids: str) -> Entity:
        """Send a change once. A fault whose `unknown_outcome` is true may have happened all the same."""
        return self._sent(method, endpoint, body, ids, writes=True)

    def ask(self, method: Method, endpoint: str, body: Entity, /, **ids: str) -> Entity:
        """A question that has a body, or a temporary link: asking again does no harm."""
        return self._sent(method, endpoint, body, ids, writes=False)

    def _sent(self, method: Method, endpoint: str, body: Entity, ids: dict[str, str], *, writes: bool) -> Entity:
        with _waiting():
            data: Entity = self._once(method, self._url(endpoint, ids), dict, data=body, writes=writes)["data"]
        return data

    def _url(self, endpoint: str, ids: dict[str, str]) -> str:
        """Paths are not escaped by the library: what isn't an id could lead anywhere, and is not asked for."""
        if not all(ID.fullmatch(value) for value in ids.values()):
            raise PaddleFault("not_found")
        url: str = getattr(self.endpoints, endpoint).format(**ids)
        return url

    def _read(self, url: str, shape: type, params: dict[str, str] | None) -> Entity:
        with _waiting():
            for pause in PAUSES:
                try:
                    return self._once("GET", url, shape, params=params)
                except PaddleFault as fault:
                    if fault.code not in WORTH_ANOTHER_TRY:
                        raise
                time.sleep(pause)
            return self._once("GET", url, shape, params=params)

    def _once(self, method: str, url: str, shape: type, *, writes: bool = False, **given: Entity | None) -> Entity:
        """One request, whose answer's `data` has this shape. Faults are logged here, without bodies and queries."""
        call = {"GET": self.get, "POST": self.post, "PATCH": self.patch}[method]
        try:
            answer: Entity = call(url, allow_redirects=False, **given)
            if isinstance(answer["data"], shape):
                return answer
            fault = PaddleFault("broken", unknown_outcome=True)
        except PaddleFault as refused:
            fault = refused
        except UnexpectedError as error:
            fault = unanswered(error.__cause__ or error)
        fault.unknown_outcome &= writes
        path = urlsplit(url).path
        logger.warning("paddle %s %s: %s, request %s", method, path, fault.code, fault.request_id or "unnamed")
        # Raised out here, without its cause: that quotes addresses and answers, and with them emails.
        raise fault

    def _next(self, answer: Entity) -> str | None:
        """The link to the following page. Only our own API's: the host that is asked gets the key."""
        pages = (answer.get("meta") or {}).get("pagination") or {}
        if not pages.get("has_more"):
            return None
        link = str(pages.get("next"))
        if urlsplit(link)[:2] != urlsplit(self.base_url)[:2]:
            logger.error("paddle sent a page link to another host")
            raise PaddleFault("broken")
        return link


@contextmanager
def _waiting() -> Iterator[None]:
    """Wait for Paddle inside. Raises `not_asked` where enough pages of this process wait already."""
    with EXTERNAL_SERVICES.place() as taken:
        if not taken:
            logger.warning("paddle is slow: a request was turned away")
            raise PaddleFault("not_asked", retry_after=RETRY_AFTER)
        yield
