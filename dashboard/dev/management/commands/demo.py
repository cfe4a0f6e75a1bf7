import logging
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.dev import demo


class Command(BaseCommand):
    help = "Make the demo accounts that are missing (S1). Refused in production: everyone knows their password."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("Demo accounts never exist in production.")
        logger = logging.getLogger("billing")
        before = logger.level
        # Every payment of the past would be a line.
        logger.setLevel(logging.WARNING)
        try:
            demo.make_accounts(timezone.now(), self.stdout.write)
        finally:
            logger.setLevel(before)
