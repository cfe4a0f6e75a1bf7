from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.paddle import setup as paddle_setup
from billing.paddle.api import PaddleFault


class Command(BaseCommand):
    help = (
        "Make or find products, prices, a client token and the notification destination in the Paddle account, and "
        "print what to set in the environment (P6). Running it again adds nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PADDLE_API_KEY:
            raise CommandError("PADDLE_API_KEY is not set. Make one in Paddle's dashboard, under Developer tools.")
        try:
            setup = paddle_setup.set_up(dry_run=options["dry_run"])
        except PaddleFault as fault:
            raise CommandError(
                f"{fault} (Paddle's code: {fault.code}, request {fault.request_id or 'unnamed'}) "
                "What was made so far is found the next time: run this again."
            ) from None
        for line in setup.lines:
            self.stdout.write(line)
        if not setup.lines:
            self.stdout.write("Paddle has everything already.")
        if not settings.PADDLE_SIMULATED and not options["dry_run"]:
            self._say_what_to_set(setup)

    def _say_what_to_set(self, setup: paddle_setup.Setup) -> None:
        self.stdout.write("\nSet in the environment:")
        self.stdout.write(f"PADDLE_CLIENT_TOKEN={setup.client_token}")
        if setup.webhook_secret:
            self.stdout.write(f"PADDLE_WEBHOOK_SECRETS={setup.webhook_secret}")
            self.stdout.write("The secret is shown this once; Paddle's dashboard has it, under Notifications.")
        else:
            self.stdout.write(
                "PADDLE_WEBHOOK_SECRETS stays what it is: Paddle's dashboard has it, under Notifications."
            )
