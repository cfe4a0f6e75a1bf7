"""`make bench`."""

import os

import django

from sidekick import database


def run() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "sidekick.settings"
    django.setup()
    database.start_embedded()
    from tests.benchmarks.bench import main

    main()


if __name__ == "__main__":
    run()
