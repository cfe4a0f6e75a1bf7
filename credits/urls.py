"""The Credits tab."""

from django.urls import path

from credits import unsubscribing, views

urlpatterns = [
    path("dashboard/credits", views.requests, name="credits"),
    path("dashboard/credits/models", views.models, name="credits_models"),
    path("dashboard/credits/balance", views.balance, name="credits_balance"),
    path("emails/stop/<str:token>", unsubscribing.stop_balance_emails, name="stop_balance_emails"),
]
