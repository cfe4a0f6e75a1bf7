"""The WSGI application that granian serves."""

import gc
import os

from django.core.management import BaseCommand
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sidekick.settings")
# Only pages have a limit; a migration or an audit of the books may take its time.
os.environ.setdefault("DATABASE_STATEMENT_SECONDS", "30")
application = get_wsgi_application()

# Django runs system checks for commands only, and granian is none.
BaseCommand().check(tags=["settings"])

# These objects stay for good: a full collection that walks all of them stops a worker for some 60 ms.
gc.collect()
gc.freeze()
