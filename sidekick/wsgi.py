"""The WSGI application that granian serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sidekick.settings")
# For whoever serves pages; a migration or a proof of the books may take its time.
os.environ.setdefault("DATABASE_STATEMENT_SECONDS", "30")
application = get_wsgi_application()

# What stands here stays for good: a full collection that walks all of it stops a worker for some 60 ms.
gc.collect()
gc.freeze()
