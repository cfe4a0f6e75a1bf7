"""The JSON API, version 1."""

from django.urls import include, path

from sidekick.api import docs

app_name = "api"
urlpatterns = [
    path("auth/", include("sidekick.accounts.api.urls")),
    path("", include("credits.api.urls")),
    path("openapi.json", docs.openapi, name="openapi"),
]
