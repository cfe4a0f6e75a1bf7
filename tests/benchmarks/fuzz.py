"""`make bench ARGS=fuzz`: 100,000 generated requests, each in a transaction that is rolled back.

`ARGS="fuzz SEED"` takes another seed, `ARGS="fuzz SEED NUMBER"` sends one of its requests again.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from django.conf import settings
from django.db import connection
from django.test.utils import override_settings, setup_databases, teardown_databases

from tests.billing import store as stores
from tests.fuzzing import run, world
from tests.fuzzing.exchange import one_connection

REQUESTS = 100_000
SEED = 1


def main(arguments: Sequence[str]) -> None:
    """Exits with 1 where a request had a fault."""
    seed = int(arguments[0]) if arguments else SEED
    first = int(arguments[1]) if len(arguments) > 1 else 0
    numbers = range(first, first + 1) if len(arguments) > 1 else range(REQUESTS)
    connection.settings_dict["TEST"]["NAME"] = "fuzz_sidekick"
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        faulty = _send(seed, numbers)
    finally:
        teardown_databases(databases, verbosity=0)
    sys.exit(1 if faulty else 0)


def _send(seed: int, numbers: range) -> int:
    # Every refusal is a warning; lines that are faults are in the reports.
    logging.getLogger().handlers.clear()
    faulty, started = 0, time.perf_counter()
    with override_settings(), stores.opened(settings) as store, one_connection():
        built = world.build(settings, store)
        for report in run.failing(built, seed, numbers):
            faulty += 1
            _say(report + "\n")
    took = time.perf_counter() - started
    _say(f"{len(numbers):,} requests of seed {seed} in {took:.0f} s: {faulty} with faults   aim 0")
    return faulty


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
