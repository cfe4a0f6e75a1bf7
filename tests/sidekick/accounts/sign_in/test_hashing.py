"""Many sign-ins at once take the memory of two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password


def test_few_passwords_are_checked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:  # O6
    encoded, lock, inside, most = make_password("a quiet harbour"), Lock(), 0, 0
    assert encoded.startswith("argon2$argon2id$")
    verify = Argon2PasswordHasher.verify

    def counted(hasher: Argon2PasswordHasher, password: str, encoded: str) -> bool:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return verify(hasher, password, encoded)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(Argon2PasswordHasher, "verify", counted)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: check_password("a quiet harbour", encoded), range(8)))
    assert most == 2
