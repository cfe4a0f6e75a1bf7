"""The credits part of the JSON API, under /api/v1."""

from django.urls import path

from credits import api, holds_api

urlpatterns = [
    path("credits", api.CreditsView.as_view(), name="api_credits"),
    path("usage", api.UsageView.as_view(), name="api_usage"),
    path("usage/models", api.UsageModelsView.as_view(), name="api_usage_models"),
    path("holds", holds_api.HoldsView.as_view(), name="api_holds"),
    path("holds/<uuid:hold_id>", holds_api.HoldView.as_view(), name="api_hold"),
]
