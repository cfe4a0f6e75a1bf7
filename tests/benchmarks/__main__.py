"""`make bench`."""

import os

import django


def run() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "sidekick.settings"
    django.setup()
    from tests.benchmarks.bench import main

    main()


if __name__ == "__main__":
    run()
