"""The yardstick's WSGI application: Django with its middleware and context processors off."""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

os.environ["DJANGO_SETTINGS_MODULE"] = "sidekick.settings"
django.setup()

# allauth refuses to start without its middleware, so it is taken out afterwards.
settings.MIDDLEWARE = []
settings.ROOT_URLCONF = "tests.benchmarks.bare"
settings.TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [settings.BASE_DIR / "tests" / "benchmarks" / "templates"],
        "APP_DIRS": True,
    }
]
application = WSGIHandler()
