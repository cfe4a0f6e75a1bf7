"""The credits part of the JSON API, under /api/v1."""

from django.urls import path

from credits import api

urlpatterns = [
    path("credits", api.CreditsView.as_view(), name="api_credits"),
    path("usage", api.UsageView.as_view(), name="api_usage"),
    path("usage/models", api.UsageModelsView.as_view(), name="api_usage_models"),
]
