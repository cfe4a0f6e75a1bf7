"""Every URL of the project, app by app."""

from django.apps import apps
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from sidekick.api import docs

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("dashboard.urls")),
    path("", include("dashboard.account.urls")),
    path("", include("credits.pages.urls")),
    path("", include("feedback.pages.urls")),
    path("", include("billing.pages.urls")),
    path("accounts/", include("sidekick.accounts.urls")),
    path("api/v1/", include("sidekick.api.urls")),
    path("api/docs", docs.page, name="api_docs"),
    path("admin/", admin.site.urls),
]
if apps.is_installed("dashboard.dev"):
    urlpatterns.append(path("", include("dashboard.dev.urls")))

handler400 = "dashboard.errors.bad_request"
handler403 = "dashboard.errors.permission_denied"
handler404 = "dashboard.errors.page_not_found"
handler429 = "dashboard.errors.too_many_requests"
handler500 = "dashboard.errors.server_error"
