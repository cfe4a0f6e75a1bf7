"""The Billing tab, the pay page, and the door for Paddle's events."""

from django.urls import path, re_path

from billing.paddle import webhooks
from billing.pages import views

app_name = "billing"
urlpatterns = [
    path("dashboard/billing", views.overview, name="overview"),
    path("dashboard/billing/credits", views.buy_credits, name="buy_credits"),
    path("dashboard/billing/subscribe/<int:price_id>", views.subscribe, name="subscribe"),
    path("dashboard/billing/plan", views.plan, name="plan"),
    path("dashboard/billing/plan/<int:price_id>", views.change_plan, name="change_plan"),
    path("dashboard/billing/cancel", views.cancel, name="cancel"),
    path("dashboard/billing/keep", views.keep, name="keep"),
    path("dashboard/billing/resume", views.resume, name="resume"),
    path("dashboard/billing/card", views.card, name="card"),
    path("dashboard/billing/portal", views.portal, name="portal"),
    path("dashboard/billing/coming", views.coming, name="coming"),
    path("dashboard/billing/pay", views.pay, name="pay"),
    path("dashboard/billing/purchases/<uuid:purchase_id>", views.purchase, name="purchase"),
    path("dashboard/billing/purchases/<uuid:purchase_id>/progress", views.progress, name="progress"),
    re_path(
        r"^dashboard/billing/payments/(?P<transaction_id>txn_[A-Za-z0-9]{1,46})/invoice$", views.invoice, name="invoice"
    ),
    path("webhooks/paddle", webhooks.paddle, name="paddle_webhook"),
]
