"""Accounts and sign-in: passwords, sessions, allauth, its rate limits, second factors, Google and GitHub."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sidekick.settings.base import HOME_URL, PRODUCTION, SECRET_KEY, SITE_URL
from sidekick.settings.environment import env

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "sidekick.accounts.sign_in.hashing.BoundedArgon2Hasher",
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

# Browsers take a cookie of this name only over HTTPS and from this very host: no sibling domain can plant one.
COOKIE_PREFIX = "__Host-" if PRODUCTION else ""
ACCESS_TOKEN_LIFETIME = timedelta(seconds=env.int("ACCESS_TOKEN_SECONDS", default=300))
SESSION_IDLE_LIMIT = timedelta(days=env.int("SESSION_IDLE_DAYS", default=14))
SESSION_ABSOLUTE_LIMIT = timedelta(days=env.int("SESSION_ABSOLUTE_DAYS", default=90))
REFRESH_REUSE_WINDOW = timedelta(seconds=env.int("REFRESH_REUSE_SECONDS", default=30))
REFRESH_RETRY_WINDOW = timedelta(seconds=env.int("REFRESH_RETRY_SECONDS", default=600))
# How far the clock of the server that issued a token may be ahead of this one's. Expiry allows nothing.
TOKEN_LEEWAY = timedelta(seconds=30)
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
    "login": "sidekick.accounts.sign_in.forms.LoginForm",
    "signup": "sidekick.accounts.sign_in.forms.SignupForm",
    "request_login_code": "sidekick.accounts.sign_in.forms.RequestLoginCodeForm",
    "reset_password": "sidekick.accounts.sign_in.forms.ResetPasswordForm",
    "add_email": "sidekick.accounts.sign_in.forms.AddEmailForm",
    "confirm_login_code": "sidekick.accounts.sign_in.forms.EmailedCodeForm",
    "confirm_password_reset_code": "sidekick.accounts.sign_in.forms.EmailedCodeForm",
    "confirm_email_verification_code": "sidekick.accounts.sign_in.forms.VerificationCodeForm",
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
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(SITE_URL).scheme
# Digits, for the number keys of phones: with three tries a code and five codes in five minutes, 8 of them are enough.
ALLAUTH_USER_CODE_FORMAT = {"numeric": True, "length": 8}
# Ten minutes, because an email may take a while to arrive.
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 600
# A code that expired is sent anew on the page that waits for it: that page lives as long as the flow's session.
ACCOUNT_LOGIN_TIMEOUT = SESSION_COOKIE_AGE
# A9, and the limits of all other pages: attempts/window/counted per. `ip` leaves room for an office behind one
# address, `key` is the email typed.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "20/5m/ip,5/5m/key",
    "signup": "20/5m/ip",
    "reset_password": "20/5m/ip,3/5m/key",
    "reset_password_from_key": "20/5m/ip",
    "request_login_code": "20/5m/ip,3/5m/key",
    "confirm_email": "1/10s/key",
    "reauthenticate": "10/m/user",
    "reauthentication_code": "3/5m/user",
    "resend_code": "2/5m/key",
    # Counts per flow, beside the three tries of a code: requests at the same time write over each other's count.
    "enter_code": "15/5m/key",
    "download_my_data": "5/h/user",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    "api_token": "30/5m/ip,10/5m/key",
    "api_refresh": "60/m/ip",
    # Paddle counts our calls by our address: one customer must not use up everybody's.
    "checkout": "10/m/user",
    # Images are decoded before the report is checked; three of the worst take some ten seconds.
    "feedback": "15/10m/user",
    "unsent_words": "20/5m/ip",
    "paddle": "30/m/user",
    # A file of a million rows takes six seconds, and a process makes one at a time.
    "export": "10/m/user,30/h/user",
}
# An account has one address. A new one replaces it once a code that was sent to the new one is entered.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 2
# Seconds for which a reauthentication (password, second factor, emailed code) counts.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900

MFA_ADAPTER = "sidekick.accounts.sign_in.mfa.SecondFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Sidekick"
MFA_FORMS = {
    "authenticate": "sidekick.accounts.sign_in.forms.SecondFactorForm",
    "reauthenticate": "sidekick.accounts.sign_in.forms.ReauthenticationForm",
    "activate_totp": "sidekick.accounts.sign_in.forms.ActivateAppForm",
    "add_webauthn": "sidekick.accounts.sign_in.forms.AddPasskeyForm",
    "edit_webauthn": "sidekick.accounts.sign_in.forms.RenamePasskeyForm",
}

SOCIALACCOUNT_ADAPTER = "sidekick.accounts.sign_in.social.SocialAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
# GitHub tells addresses, and which of them are verified, only when asked separately.
SOCIALACCOUNT_QUERY_EMAIL = True


def social_provider(client_id: str, secret: str) -> dict[str, Any]:
    """Returns allauth's settings of one provider. allauth offers only providers that have an app."""
    apps = [{"client_id": client_id, "secret": secret, "key": ""}] if client_id or secret else []
    return {"APPS": apps, "OAUTH_PKCE_ENABLED": True}


SOCIALACCOUNT_PROVIDERS = {
    "google": social_provider(env.str("GOOGLE_CLIENT_ID", default=""), env.str("GOOGLE_CLIENT_SECRET", default="")),
    "github": social_provider(env.str("GITHUB_CLIENT_ID", default=""), env.str("GITHUB_CLIENT_SECRET", default="")),
}
