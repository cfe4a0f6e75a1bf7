from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from sidekick.accounts.models import ServiceKey


class Command(BaseCommand):
    help = "Revoke a service key: it is refused from now on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not ServiceKey.objects.filter(name=name).revoke():
            raise CommandError(f"There is no service key named {name} that could be revoked.")
        self.stdout.write(f"Service key {name} is revoked.")
