"""HTTPS, proxies and the content security policy."""

from csp.constants import NONE, SELF

from sidekick.settings.accounts import SOCIALACCOUNT_PROVIDERS
from sidekick.settings.base import HOME_URL, PRODUCTION
from sidekick.settings.billing import PADDLE_API_URL, PADDLE_SIMULATED
from sidekick.settings.environment import env

if PRODUCTION:
    SECURE_SSL_REDIRECT = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

# Production must say how many: `checks` refuses -1, which stands for a variable that is not set.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=-1 if PRODUCTION else 0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES

CSRF_FAILURE_VIEW = "dashboard.errors.csrf_failure"

# Browsers count a redirect's target as a target of the form, so pages elsewhere that a form of ours leads to stand
# here: the homepage after logging out, Google and GitHub, and Paddle.
_form_targets = ["/".join(HOME_URL.split("/")[:3])] if HOME_URL.startswith("http") else []
if SOCIALACCOUNT_PROVIDERS["google"]["APPS"]:
    _form_targets.append("https://accounts.google.com")
if SOCIALACCOUNT_PROVIDERS["github"]["APPS"]:
    _form_targets.append("https://github.com")
_form_targets.append(PADDLE_API_URL if PADDLE_SIMULATED else "https://*.paddle.com")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF, *_form_targets],
        "frame-ancestors": [NONE],
    }
}
