"""Addresses of the mailbox."""

from django.urls import path

from dashboard.dev import views

app_name = "dev"
urlpatterns = [
    path("dev/mail", views.mailbox, name="mailbox"),
    path("dev/mail/letters", views.emails, name="emails"),
    path("dev/mail/letters/<slug:name>", views.email, name="email"),
    path("dev/mail/letters/<slug:name>/html", views.email_html, name="email_html"),
    path("dev/mail/<slug:name>", views.message, name="message"),
    path("dev/mail/<slug:name>/html", views.message_html, name="message_html"),
]
