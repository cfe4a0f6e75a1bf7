"""Google and GitHub on this machine: enough of OAuth 2 to sign in, over real HTTP, with PKCE and states checked."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
import requests
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from pytest_django import Settings

CLIENT_ID, CLIENT_SECRET = "sidekick-of-these-tests", "a-secret-of-these-tests"
ISSUER = "https://accounts.google.com"


class Provider(ThreadingHTTPServer):
    """Signs `person` in without asking. Each code is good once, for who can show what its challenge was made of."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server_port}"
        self.person: dict[str, Any] = {}
        self.emails: list[dict[str, Any]] = []
        self.refuses = False
        self.challenges: dict[str, str] = {}

    def authorize(self, asked: dict[str, str]) -> str:
        """The address that the browser goes to next."""
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        if self.refuses:
            return f"{asked['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': asked['state']})}"
        code = secrets.token_urlsafe()
        self.challenges[code] = asked["code_challenge"]
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str]) -> dict[str, str] | None:
        verifier = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if self.challenges.pop(asked["code"], None) != shown or asked["client_secret"] != CLIENT_SECRET:
            return None
        claims = {"iss": ISSUER, "aud": CLIENT_ID, "exp": 4102444800, **self.person}
        return {"access_token": "an-access-token", "id_token": jwt.encode(claims, "k" * 32, algorithm="HS256")}


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.send_response(302)
            self.send_header("Location", self.server.authorize(asked))
            self.end_headers()
        else:
            self._answer(self.server.emails if parts.path == "/user/emails" else self.server.person)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(self.server.token({name: values[0] for name, values in parse_qs(body).items()}))

    def _answer(self, body: object) -> None:
        self.send_response(200 if body is not None else 400)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """A provider that plays both; allauth reads the addresses of the real ones once, when it is loaded."""
    apps = [{"client_id": CLIENT_ID, "secret": CLIENT_SECRET, "key": ""}]
    known = settings.SOCIALACCOUNT_PROVIDERS
    settings.SOCIALACCOUNT_PROVIDERS = {name: {**configured, "APPS": apps} for name, configured in known.items()}
    provider = Provider()
    for adapter in (GoogleOAuth2Adapter, GitHubOAuth2Adapter):
        monkeypatch.setattr(adapter, "authorize_url", f"{provider.url}/authorize")
        monkeypatch.setattr(adapter, "access_token_url", f"{provider.url}/token")
    monkeypatch.setattr(GitHubOAuth2Adapter, "profile_url", f"{provider.url}/user")
    monkeypatch.setattr(GitHubOAuth2Adapter, "emails_url", f"{provider.url}/user/emails")
    Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield provider
    finally:
        provider.shutdown()
        provider.server_close()


def follow(url: str) -> str:
    """Visit the provider as the browser does, and return the address that it sends the browser back to."""
    return requests.get(url, allow_redirects=False, timeout=5).headers["Location"]
