"""`make bench`; `ARGS=slow` measures one part."""

import os
import sys

import django

from sidekick import database


def run() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "sidekick.settings"
    django.setup()
    database.start_embedded()
    match sys.argv[1:]:
        case ["fuzz", *arguments]:
            from tests.benchmarks import fuzz

            fuzz.main(arguments)
        case _:
            from tests.benchmarks.bench import main

            main(sys.argv[1:])


if __name__ == "__main__":
    run()
