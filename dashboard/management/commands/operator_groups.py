from typing import Any

from django.core.management.base import BaseCommand

from dashboard.backoffice import groups


class Command(BaseCommand):
    help = "Make the groups Support and Finance, or give them their rights again. Nobody is put into them."

    def handle(self, *args: Any, **options: Any) -> None:
        for name in groups.GROUPS:
            self.stdout.write(f"{name}: {groups.update(name)} rights")
