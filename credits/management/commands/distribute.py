from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from credits.usage import citus


class Command(BaseCommand):
    help = (
        "Spread usage over the machines of a Citus cluster, by account, and copy the models to each. Looks first, and "
        "changes nothing when something stands in the way. Stopped or failed, it goes on where it was when run again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--block-writes",
            action="store_true",
            help="Let nobody record usage meanwhile. Quicker, and possible where wal_level is not logical.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        block_writes: bool = options["block_writes"]
        if obstacles := citus.obstacles(block_writes=block_writes):
            raise CommandError("\n".join(obstacles))
        steps = citus.steps_left(block_writes=block_writes)
        for number, step in enumerate(steps, 1):
            self.stdout.write(f"{number}/{len(steps)} {step.action}\n    {step.locks}\n    {step.statement}")
            if not options["dry_run"]:
                self.stdout.write(f"    done in {_timed(step):.0f} s")
        if not steps:
            self.stdout.write("Usage is distributed already, and the models are on every machine.")
        elif options["dry_run"]:
            self.stdout.write("Nothing was done.")


def _timed(step: citus.Step) -> float:
    """Run a step. Returns the seconds it took."""
    begun = monotonic()
    try:
        citus.run(step)
    except (Error, RuntimeError) as error:
        reason = str(error).strip()
        raise CommandError(f"{step.table}: {reason}\nWhat was done before stays. Run this again to go on.") from None
    return monotonic() - begun
