"""The JSON API and what it accepts of metering."""

from datetime import timedelta

from sidekick.settings.base import SITE_URL
from sidekick.settings.environment import env

# Requests a minute of one service key, and of one account's clients; 0 is no limit. A backend makes two or three
# calls for each AI request, a person's client far fewer.
API_KEY_REQUESTS_A_MINUTE = env.int("API_KEY_REQUESTS_A_MINUTE", default=12_000)
API_ACCOUNT_REQUESTS_A_MINUTE = env.int("API_ACCOUNT_REQUESTS_A_MINUTE", default=120)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["sidekick.api.problems.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "sidekick.api.problems.handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Sidekick API",
    "DESCRIPTION": "Report what AI requests used, hold credits for calls to come, and read what an account has.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": SITE_URL}],
    "TAGS": [
        {"name": "Usage", "description": "What requests used: reported by the backend, read by both."},
        {"name": "Holds", "description": "Credits promised to a model call before it is made."},
        {"name": "Credits", "description": "What an account has, used and owes."},
        {"name": "Sign-in", "description": "Sessions of a customer’s own clients, as bearer tokens."},
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SORT_OPERATIONS": False,
    "POSTPROCESSING_HOOKS": ["credits.api.openapi.explain_events"],
}

USAGE_MAX_AGE = timedelta(days=env.int("USAGE_MAX_AGE_DAYS", default=7))
USAGE_MAX_AHEAD = timedelta(minutes=env.int("USAGE_MAX_AHEAD_MINUTES", default=5))
# A hold ends by itself after this long when no usage names it (M4).
HOLD_LIFETIME = timedelta(minutes=env.int("HOLD_MINUTES", default=15))
