"""The credits part of the JSON API, under /api/v1."""

from django.urls import path

from credits.api import holds, usage

urlpatterns = [
    path("credits", usage.CreditsView.as_view(), name="credits"),
    path("usage", usage.UsageView.as_view(), name="usage"),
    path("usage/models", usage.UsageModelsView.as_view(), name="usage_models"),
    path("holds", holds.HoldsView.as_view(), name="holds"),
    path("holds/<uuid:hold_id>", holds.HoldView.as_view(), name="hold"),
]
