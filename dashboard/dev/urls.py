"""The mailbox of development."""

from django.urls import path

from dashboard.dev import mailbox

app_name = "dev"
urlpatterns = [
    path("dev/mail", mailbox.inbox, name="mailbox"),
    path("dev/mail/letters", mailbox.gallery, name="emails"),
    path("dev/mail/letters/<slug:name>", mailbox.letter, name="email"),
    path("dev/mail/letters/<slug:name>/html", mailbox.letter_html, name="email_html"),
    path("dev/mail/<slug:name>", mailbox.message, name="message"),
    path("dev/mail/<slug:name>/html", mailbox.message_html, name="message_html"),
]
