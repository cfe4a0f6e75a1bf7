"""Authenticator apps, passkeys and recovery codes, as far as allauth leaves them to us (A1)."""

from __future__ import annotations

import base64
import hashlib

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import transaction

from sidekick.accounts.models import User

PURPOSE = b"sidekick: secrets of second factors"
# allauth keeps these of an authenticator; their reader could make codes.
SECRET_FIELDS = ("secret", "seed")
# Neither base32 nor hexadecimal, which the secrets themselves are, begins like this.
FERNET_BEGINS = "gAAAA"


class SecondFactors(DefaultMFAAdapter):
    """Secrets lie encrypted in the database: whoever reads a backup of it can't make codes."""

    def encrypt(self, text: str) -> str:
        return keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises `InvalidToken` where no key fits, so that nobody signs in with a guess at nothing."""
        return keys().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002
        count = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def _get_site_name(self) -> str:
        return "Sidekick"


def keys() -> MultiFernet:
    """`SECRET_KEY` encrypts; those of `SECRET_KEY_FALLBACKS` still decrypt what they encrypted."""
    return MultiFernet([_key_of(secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


def encrypt_anew() -> int:
    """Encrypt every secret with the present key, so that an old one can be forgotten; returns their number."""
    owners = Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN)
    ids = list(owners.order_by("pk").values_list("pk", flat=True))
    for pk in ids:
        with transaction.atomic():
            # A recovery code that is used meanwhile is marked in the same row.
            for authenticator in owners.select_for_update().filter(pk=pk):
                present = {name: value for name, value in authenticator.data.items() if name in SECRET_FIELDS}
                authenticator.data |= {name: _anew(value) for name, value in present.items()}
                authenticator.save(update_fields=["data"])
    return len(ids)


def _anew(secret: str) -> str:
    """Encrypt with the present key; an earlier version left secrets readable."""
    is_token = secret.startswith(FERNET_BEGINS)
    return (keys().rotate(secret.encode()) if is_token else keys().encrypt(secret.encode())).decode()


def _key_of(secret: str) -> Fernet:
    # A key of its own for this purpose; SECRET_KEY is long and random, so one pass of a hash is enough.
    return Fernet(base64.urlsafe_b64encode(hashlib.blake2b(secret.encode(), key=PURPOSE, digest_size=32).digest()))
