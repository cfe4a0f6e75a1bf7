from django.urls import path

from dashboard import mailbox, views

urlpatterns = [
    path("", views.home, name="home"),
    path("pricing", views.pricing, name="pricing"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("theme", views.theme, name="theme"),
    path("healthz", views.healthz, name="healthz"),
    path("dev/mail", mailbox.inbox, name="mailbox"),
    path("dev/mail/<slug:name>", mailbox.message, name="mailbox_message"),
]
