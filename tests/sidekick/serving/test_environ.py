from __future__ import annotations

from sidekick.serving.environ import environ_of
from tests.sidekick.serving.requests import scope


def test_an_environ_says_what_was_asked() -> None:
    environ = environ_of(scope("POST", "/a/b?x=1&y=%20", {"Host": "example.com", "Content-Length": "3"}))
    asked = {name: environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_HOST")}
    assert asked == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a/b",
        "QUERY_STRING": "x=1&y=%20",
        "HTTP_HOST": "example.com",
    }
    assert (environ["CONTENT_LENGTH"], environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == (
        "3",
        "203.0.113.7",
        "http",
    )


def test_a_path_is_its_bytes() -> None:
    assert environ_of(scope("GET", "/caf%C3%A9%00%FF"))["PATH_INFO"] == "/cafÃ©\x00ÿ"


def test_headers_sent_twice_are_joined_and_cookies_as_cookies() -> None:
    twice = [("Accept", "a"), ("Accept", "b"), ("Cookie", "c=1"), ("Cookie", "d=2")]
    environ = environ_of(scope("GET", "/", twice))
    assert (environ["HTTP_ACCEPT"], environ["HTTP_COOKIE"]) == ("a,b", "c=1; d=2")


def test_a_header_with_an_underscore_is_not_taken_for_the_proxys() -> None:  # O6
    forged = [("X-Forwarded-For", "203.0.113.7"), ("X_Forwarded_For", "198.51.100.1"), ("X_Forwarded_Proto", "https")]
    environ = environ_of(scope("GET", "/", forged))
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.7"
    assert "HTTP_X_FORWARDED_PROTO" not in environ
