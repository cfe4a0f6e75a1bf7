from __future__ import annotations

import pytest
from django.test import RequestFactory

from sidekick.web.return_paths import leads_here, path_here

HOST = "http://testserver"
AWAY = [
    "", "dashboard", "?x=1", "#x", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "/%5Cevil.example", "/%5cevil.example", "/%2Fevil.example", "/%255Cevil.example", "/\t/evil.example",
    "/%09/evil.example", "\t//evil.example", " //evil.example", "\n/x", "/x\r\ny", "/%0d%0aX:y",
    "https://evil.example/x", "http:///evil.example", "http:/evil.example", "javascript:alert(1)", "http://[",
    "http://testserver@evil.example/", "http://testserver:81/x",
]  # fmt: skip


@pytest.mark.parametrize("address", [*AWAY, *(HOST + path for path in AWAY if path.startswith(("/", "\\")))])
def test_no_address_leads_away(rf: RequestFactory, address: str) -> None:
    assert path_here(rf.get("/"), address) == ""
    assert not leads_here(rf.get("/"), address)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/", "/"), (HOST, "/"),
        ("/dashboard/credits?model=a%5Cb&page=2#top", "/dashboard/credits?model=a%5Cb&page=2"),
        (f"{HOST}/pricing", "/pricing"), ("/ü?q=ü", "/%C3%BC?q=%C3%BC"), ("/a//b", "/a//b"),
        ("/x?next=//y", "/x?next=//y"),
    ],
)  # fmt: skip
def test_an_address_of_this_host_is_its_path_and_query(rf: RequestFactory, address: str, path: str) -> None:
    assert path_here(rf.get("/"), address) == path
    assert leads_here(rf.get("/"), address)


def test_a_header_may_begin_with_white_space_and_a_redirect_not(rf: RequestFactory) -> None:
    assert path_here(rf.get("/"), " /pricing") == "/pricing"
    assert not leads_here(rf.get("/"), " /pricing")


def test_an_address_too_long_for_a_redirect_loses_its_query(rf: RequestFactory) -> None:
    long = "/pricing?a=" + "b" * 3_000
    assert path_here(rf.get("/"), long) == "/pricing"
    assert not leads_here(rf.get("/"), long)
    assert path_here(rf.get("/"), "/" + "b" * 3_000) == ""


def test_a_secure_page_is_not_left_for_an_insecure_one(rf: RequestFactory) -> None:
    assert path_here(rf.get("/", secure=True), f"{HOST}/pricing") == ""
    assert path_here(rf.get("/", secure=True), "https://testserver/pricing") == "/pricing"
