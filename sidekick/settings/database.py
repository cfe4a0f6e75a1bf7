"""PostgreSQL, and the cache that lives in it."""

from sidekick import database
from sidekick.settings.environment import env

# Without one, `manage.py` and the test runner start the embedded PostgreSQL in development (`sidekick/database.py`).
DATABASE_URL = env.str("DATABASE_URL", default="")
# Only processes that serve pages have a limit: 30, by wsgi.py. A statement must not hold a thread for good.
STATEMENT_SECONDS = env.int("DATABASE_STATEMENT_SECONDS", default=0)
DATABASE_POOLED = env.bool("DATABASE_POOLED", default=False)
DATABASES = {
    "default": {
        **database.from_url(DATABASE_URL, statement_seconds=STATEMENT_SECONDS, pooled=DATABASE_POOLED),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Rate limits must count across processes: the cache lives in PostgreSQL, so no second server is needed (O4).
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        # Django keeps 300 entries by default: anyone could push the count of their own attempts out.
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}
