from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.paddle import sync


class Command(BaseCommand):
    help = "Catch up from Paddle's feed of events, compare subscriptions with ours, and heal what differs (P5)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Exit with 1 when anything differed.")

    def handle(self, *args: Any, **options: Any) -> None:
        report = sync.sync(timezone.now())
        self.stdout.write(str(report))
        if report.fault:
            raise CommandError("Not everything was looked at. Run this again.")
        if options["check"] and report.drifted:
            raise CommandError(f"{report.drifted} differed.")
