"""The ASGI application that granian serves: Django's WSGI application behind the front."""

from django.conf import settings

from sidekick.serving.front import Front
from sidekick.wsgi import application as django

application = Front(django, threads=settings.WEB_THREADS)
