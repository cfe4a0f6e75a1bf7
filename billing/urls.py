from django.urls import path

from billing import views, webhooks

urlpatterns = [
    path("dashboard/billing", views.billing, name="billing"),
    path("webhooks/paddle", webhooks.paddle, name="paddle_webhook"),
]
