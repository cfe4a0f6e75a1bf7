from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction

from sidekick.accounts.models import ServiceKey
from sidekick.text import trimmed


class Command(BaseCommand):
    help = "Create a service key for the AI backend and print it, once, as the last line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="What the key is for, such as the host that uses it.")
        parser.add_argument(
            "--scopes",
            nargs="+",
            choices=ServiceKey.Scope.values,
            default=ServiceKey.Scope.values,
            help="What it may do (default: everything).",
        )

    def handle(self, *args: Any, name: str, scopes: list[str], **options: Any) -> None:
        if not 0 < len(name := trimmed(name)) <= 100:
            raise CommandError("The name must have 1 to 100 characters.")
        try:
            with transaction.atomic():
                key, secret = ServiceKey.objects.issue(name, scopes=set(scopes))
        except IntegrityError as error:
            raise CommandError(f"There is a service key named {name} already. Choose another name.") from error
        self.stdout.write(f"Service key {key.name} may: {', '.join(key.scopes)}. It is shown only now:")
        self.stdout.write(secret)
