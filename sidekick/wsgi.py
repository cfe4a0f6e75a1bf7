"""Django as a WSGI application. `asgi.py` puts the front before it that granian serves."""

import gc
import os

from django.core.management import BaseCommand
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from sidekick.web.malformed import ReadableRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sidekick.settings")
# Only pages have a limit; a migration or an audit of the books may take its time.
os.environ.setdefault("DATABASE_STATEMENT_SECONDS", "30")
application = get_wsgi_application()
application.request_class = ReadableRequest

# Django runs system checks for commands only, and granian is none.
BaseCommand().check(tags=["settings"])

# Imports all views, which the first request would wait for; on the front's event loop all others, too.
get_resolver().url_patterns  # noqa: B018

# These objects stay for good: a full collection that walks all of them stops a worker for some 60 ms.
gc.collect()
gc.freeze()
