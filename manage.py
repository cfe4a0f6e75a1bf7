#!/usr/bin/env python
"""Django's command line, on the project's settings."""

import os
import sys

# Every other command asks the database, or checks that there is one.
WITHOUT_DATABASE = {"collectstatic", "help"}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sidekick.settings")
    from django.core.management import execute_from_command_line

    from sidekick import database

    if not WITHOUT_DATABASE.intersection(sys.argv[1:2]):
        database.start_embedded()
    execute_from_command_line(sys.argv)
