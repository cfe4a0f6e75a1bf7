"""Where Sidekick runs, its address, and the parts it is made of."""

from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from sidekick.settings.environment import env

BASE_DIR = Path(__file__).resolve().parent.parent.parent
VAR_DIR = BASE_DIR / "var"
# Hosts that only a browser on the same machine reaches.
LOCAL = {"localhost", "127.0.0.1", "::1"}

ENVIRONMENT = env.str("ENVIRONMENT", default="development")
if ENVIRONMENT not in {"development", "production", "build"}:
    # Every setting below depends on it, so a mistyped one can't wait for the checks.
    raise ImproperlyConfigured(f"ENVIRONMENT must be development or production, not {ENVIRONMENT!r}.")
PRODUCTION = ENVIRONMENT == "production"
DEVELOPMENT = ENVIRONMENT == "development"
# An image is built with neither secrets nor a database, and collects the files that production serves.
BUILDING = ENVIRONMENT == "build"
DEBUG = env.bool("DEBUG", default=False)

DEVELOPMENT_KEY = "for-development-only-never-use-this-key-on-a-server-anyone-can-reach"
SECRET_KEY = env.str("SECRET_KEY", default="" if PRODUCTION else DEVELOPMENT_KEY)
if not SECRET_KEY:
    # Apps read it while they are loaded, before any check runs.
    raise ImproperlyConfigured("SECRET_KEY is not set. Set it to 50 or more random characters and keep it secret.")
# Former keys: their signatures stay valid, and they sign nothing new.
SECRET_KEY_FALLBACKS = env.str("SECRET_KEY_FALLBACKS", default="").replace(",", " ").split()

PORT = env.int("PORT", default=8000)
SITE_URL = env.str("SITE_URL", default="" if PRODUCTION else f"http://localhost:{PORT}").rstrip("/")
ALLOWED_HOSTS = [urlsplit(SITE_URL).hostname or "", *env.str("ALLOWED_HOSTS", default="").replace(",", " ").split()]
if not PRODUCTION:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [SITE_URL]
# N6: the logo and "pricing" may point at another site.
HOME_URL = env.str("HOME_URL", default="/")
PRICING_URL = env.str("PRICING_URL", default="/pricing")
# The owner's own pages. Until they are set, a placeholder says so.
TERMS_URL = env.str("TERMS_URL", default="")
PRIVACY_URL = env.str("PRIVACY_URL", default="")
SUPPORT_URL = env.str("SUPPORT_URL", default="")
OWNERS_PAGES = ("TERMS_URL", "PRIVACY_URL", "SUPPORT_URL")

INSTALLED_APPS = [
    "dashboard",
    "billing",
    "feedback",
    "credits",
    "sidekick.accounts",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.mfa",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "procrastinate.contrib.django",
    "csp",
    "dashboard.apps.OperatorAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]
if DEVELOPMENT:
    # The image lacks its folder (`.dockerignore`).
    INSTALLED_APPS.append("dashboard.dev")

MIDDLEWARE = [
    "sidekick.metrics.RequestMetricsMiddleware",
    "dashboard.ops.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    # Outside of it stands only what never reads a request's path, query, cookies or body.
    "sidekick.web.malformed.MalformedRequestMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "dashboard.unread_bodies.UnreadBodyMiddleware",
    "sidekick.accounts.stamps.middleware.AccountStampMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sidekick.web.malformed.MalformedFormMiddleware",
    "sidekick.accounts.middleware.SessionTokenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.middleware.HtmxFailureMiddleware",
    "dashboard.errors.MethodNotAllowedMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "sidekick.urls"
WSGI_APPLICATION = "sidekick.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": [
                "dashboard.templatetags.clocks",
                "dashboard.templatetags.icons",
                "sidekick.accounts.stamps.tags",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context.context",
            ],
        },
    },
]

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
# Dates without a format of their own look like this, above all in the admin.
FORMAT_MODULE_PATH = ["sidekick.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static-built"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Production serves the hashed and compressed files of collectstatic; development serves the files as they are now.
_hashed = "whitenoise.storage.CompressedManifestStaticFilesStorage"
_plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _plain if DEVELOPMENT else _hashed},
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION
WHITENOISE_MAX_AGE = 60 if PRODUCTION else 0
