"""The Credits tab."""

from django.urls import path

from credits import views

urlpatterns = [
    path("dashboard/credits", views.requests, name="credits"),
    path("dashboard/credits/models", views.models, name="credits_models"),
    path("dashboard/credits/balance", views.balance, name="credits_balance"),
]
