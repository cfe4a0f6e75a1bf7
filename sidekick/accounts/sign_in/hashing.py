"""Passwords are hashed by Argon2, which takes 100 MB for each."""

from __future__ import annotations

from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

# In each process, whatever its threads. More would not be faster: each uses several cores.
_few = BoundedSemaphore(2)


class BoundedArgon2Hasher(Argon2PasswordHasher):
    """Django's hasher in two threads at a time: many sign-ins at once must not fill the memory."""

    def encode(self, password: str, salt: str) -> str:
        with _few:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _few:
            return super().verify(password, encoded)
