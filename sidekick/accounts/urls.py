"""allauth's pages that are configured, with a logout of our own; its overviews lead to the account page."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.socialaccount import views as social
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.google.provider import GoogleProvider
from allauth.socialaccount.providers.oauth2.urls import default_urlpatterns
from django.urls import include, path
from django.views.generic import RedirectView

from sidekick.accounts.sign_in import code_pages, email_forms
from sidekick.accounts.sign_in.email_and_next import keeps_next
from sidekick.accounts.sign_in.reauthentication import reauthenticated

from . import views

security = RedirectView.as_view(pattern_name="account:security")

# allauth reauthenticates no account without a password; these pages ask every account.
guarded = [
    path("email/", reauthenticated(email_forms.Email.as_view()), name="account_email"),
    path("password/set/", reauthenticated(account.password_set), name="account_set_password"),
    path("2fa/totp/activate/", reauthenticated(totp.activate_totp), name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", reauthenticated(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("2fa/webauthn/add/", reauthenticated(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("2fa/recovery-codes/", reauthenticated(recovery_codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "2fa/recovery-codes/generate/",
        reauthenticated(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
]

# Visitors come through these; the page that they asked for goes with them.
entered = [
    path("login/", keeps_next(email_forms.Login.as_view()), name="account_login"),
    path("signup/", keeps_next(email_forms.Signup.as_view()), name="account_signup"),
    path("login/code/", keeps_next(email_forms.RequestLoginCode.as_view()), name="account_request_login_code"),
    path("password/reset/", keeps_next(email_forms.PasswordReset.as_view()), name="account_reset_password"),
    path("login/code/confirm/", keeps_next(code_pages.ConfirmLoginCode.as_view()), name="account_confirm_login_code"),
    path("confirm-email/", keeps_next(code_pages.ConfirmEmail.as_view()), name="account_email_verification_sent"),
    path(
        "password/reset/confirm/",
        keeps_next(code_pages.ConfirmPasswordResetCode.as_view()),
        name="account_confirm_password_reset_code",
    ),
    path(
        "password/reset/complete/",
        keeps_next(code_pages.CompletePasswordReset.as_view()),
        name="account_complete_password_reset",
    ),
    path("2fa/authenticate/", keeps_next(mfa.authenticate), name="mfa_authenticate"),
    path("2fa/webauthn/login/", keeps_next(webauthn.login_webauthn), name="mfa_login_webauthn"),
]

urlpatterns = [
    path("logout", views.logout, name="logout"),
    # allauth's templates link to this name; it stands first, so its own page (which answers GET) is out of reach.
    path("logout/", views.logout, name="account_logout"),
    path("reauthenticate/code/", views.reauthenticate_by_email, name="reauthenticate_by_email"),
    path("2fa/", security, name="mfa_index"),
    path("2fa/webauthn/", security, name="mfa_list_webauthn"),
    path("cancel/", views.cancel_sign_in, name="cancel_sign_in"),
    *guarded,
    *entered,
    path("", include("allauth.account.urls")),
    path("2fa/", include("allauth.mfa.urls")),
    path("social/", security, name="socialaccount_connections"),
    path("social/<int:pk>/disconnect", views.disconnect, name="disconnect"),
    path("social/login/cancelled/", social.login_cancelled, name="socialaccount_login_cancelled"),
    path("social/login/error/", social.login_error, name="socialaccount_login_error"),
    # allauth wants to be able to name it; an account that can't begin at once is refused (`social`).
    path("social/signup/", RedirectView.as_view(pattern_name="account_signup"), name="socialaccount_signup"),
    *default_urlpatterns(GoogleProvider),
    *default_urlpatterns(GitHubProvider),
]
