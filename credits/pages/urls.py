"""The Credits tab."""

from django.urls import path

from credits.pages import unsubscribe, views

urlpatterns = [
    path("dashboard/credits", views.requests, name="credits"),
    path("dashboard/credits/models", views.models, name="credits_models"),
    path("dashboard/credits/history", views.history, name="credits_history"),
    path("dashboard/credits/<str:view>.csv", views.export, name="credits_export"),
    path("dashboard/credits/balance", views.balance, name="credits_balance"),
    path("dashboard/credits/notices/<slug:key>/dismiss", views.dismiss, name="credits_dismiss"),
    path("emails/stop/<str:token>", unsubscribe.stop_balance_emails, name="stop_balance_emails"),
]
