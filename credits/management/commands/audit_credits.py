from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from credits.ledger.audit import differences
from credits.models import Wallet
from sidekick.accounts.models import User


class Command(BaseCommand):
    help = "Prove that every account's credits add up; exit non-zero and name what differs (M11)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--account", help="Only this account: its email or id.")

    def handle(self, *args: Any, **options: Any) -> None:
        account = User.objects.named(options["account"]) if options["account"] else None
        if options["account"] and account is None:
            raise CommandError(f"There is no account {options['account']}.")
        found = list(differences(account.id if account else None))
        for difference in found:
            self.stdout.write(f"{difference.account_id} {difference.check}: {difference.detail}")
        if found:
            raise CommandError(f"{len(found)} differences.")
        self.stdout.write(f"The books of {1 if account else Wallet.objects.count()} accounts balance.")
