"""The WSGI application that granian serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sidekick.settings")
application = get_wsgi_application()

# What stands here stays for good: a full collection that walks all of it stops a worker for some 60 ms.
gc.collect()
gc.freeze()
