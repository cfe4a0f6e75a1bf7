"""Sends generated requests, each in a transaction that is rolled back, and tells which had faults."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import suppress

from django.db import transaction

from tests.fuzzing import generating
from tests.fuzzing.exchange import Sent, ask
from tests.fuzzing.faults import Recorder, faults_of
from tests.fuzzing.world import World


class _Undone(Exception):
    """Undoes all of a request, at Paddle as well."""


def failing(world: World, seed: int, numbers: range) -> Iterator[str]:
    """Yield a report for each request that has a fault: its seed and number, the request itself, and what is wrong."""
    recorder = Recorder()
    logging.getLogger().addHandler(recorder)
    try:
        for number in numbers:
            sent = generating.request(world, seed, number)
            if found := faults(world, sent, recorder):
                shown = repr(sent) if len(repr(sent)) < 3000 else repr(sent)[:3000] + "…"
                yield f"seed {seed}, request {number}: {shown}\n  " + "\n  ".join(found)
    finally:
        logging.getLogger().removeHandler(recorder)


def faults(world: World, sent: Sent, recorder: Recorder) -> list[str]:
    """The faults of one request. What it changed is rolled back, so that every request finds the same world."""
    recorder.records.clear()
    try:
        with suppress(_Undone), world.store.world.state.all_or_nothing(), transaction.atomic():
            got = ask(world.application, sent)
            raise _Undone
    except Exception:  # whatever leaves the application
        return ["an exception left the application", traceback.format_exc()[-1500:]]
    return list(faults_of(sent, got, recorder.records))
