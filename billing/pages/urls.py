"""The Billing tab, the pay page, and the address for Paddle's webhooks."""

from django.urls import path, re_path

from billing.paddle import webhooks
from billing.pages import billing_page, buying, links, plan_changes

app_name = "billing"
urlpatterns = [
    path("dashboard/billing", billing_page.overview, name="overview"),
    path("dashboard/billing/credits", buying.buy_credits, name="buy_credits"),
    path("dashboard/billing/subscribe/<int:price_id>", buying.subscribe, name="subscribe"),
    path("dashboard/billing/checkout/<int:price_id>", buying.plan_checkout, name="plan_checkout"),
    path("dashboard/billing/plan", plan_changes.plan, name="plan"),
    path("dashboard/billing/plan/<int:price_id>", plan_changes.change_plan, name="change_plan"),
    path("dashboard/billing/cancel", plan_changes.cancel, name="cancel"),
    path("dashboard/billing/keep", plan_changes.keep, name="keep"),
    path("dashboard/billing/resume", plan_changes.resume, name="resume"),
    path("dashboard/billing/card", links.card, name="card"),
    path("dashboard/billing/portal", links.portal, name="portal"),
    path("dashboard/billing/coming", billing_page.coming, name="coming"),
    path("dashboard/billing/pay", buying.pay, name="pay"),
    path("dashboard/billing/purchases/<uuid:purchase_id>", buying.purchase, name="purchase"),
    path("dashboard/billing/purchases/<uuid:purchase_id>/progress", buying.progress, name="progress"),
    re_path(
        r"^dashboard/billing/payments/(?P<transaction_id>txn_[A-Za-z0-9]{1,46})/invoice$", links.invoice, name="invoice"
    ),
    path("webhooks/paddle", webhooks.paddle, name="paddle_webhook"),
]
