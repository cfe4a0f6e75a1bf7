"""The JSON API, version 1."""

from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

urlpatterns = [
    path("auth/", include("sidekick.accounts.api_urls")),
    path("", include("credits.api_urls")),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
]
