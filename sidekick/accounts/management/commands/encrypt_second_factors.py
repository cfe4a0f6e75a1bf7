"""After `SECRET_KEY` changed: encrypt what the old key encrypted, so that `SECRET_KEY_FALLBACKS` can be emptied."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from sidekick.accounts.sign_in import mfa


class Command(BaseCommand):
    help = "Encrypt the secrets of all second factors with the present SECRET_KEY."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{mfa.encrypt_anew()} second factors are encrypted with the present key.")
