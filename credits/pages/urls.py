"""The Credits tab."""

from django.urls import path

from credits.pages import unsubscribe, views

app_name = "credits"
urlpatterns = [
    path("dashboard/credits", views.requests, name="requests"),
    path("dashboard/credits/models", views.models, name="models"),
    path("dashboard/credits/history", views.history, name="history"),
    path("dashboard/credits/<str:view>.csv", views.export, name="export"),
    path("dashboard/credits/balance", views.balance, name="balance"),
    path("dashboard/credits/notices/<slug:key>/dismiss", views.dismiss, name="dismiss"),
    path("emails/stop/<str:token>", unsubscribe.stop_balance_emails, name="stop_balance_emails"),
]
