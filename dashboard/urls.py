from django.urls import path

from dashboard import account, mailbox, views

urlpatterns = [
    path("", views.home, name="home"),
    path("pricing", views.pricing, name="pricing"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("dashboard/account", account.profile, name="account"),
    path("dashboard/account/security", account.security, name="security"),
    path("dashboard/account/sessions", account.sessions, name="sessions"),
    path("dashboard/account/sessions/end-others", account.end_other_sessions, name="end_other_sessions"),
    path("dashboard/account/sessions/<uuid:session_id>/end", account.end_session, name="end_session"),
    path("dashboard/account/data", account.data, name="my_data"),
    path("dashboard/account/data/download", account.download, name="download_my_data"),
    path("dashboard/account/delete", account.delete, name="delete_account"),
    path("farewell", account.deleted, name="farewell"),
    path("theme", views.theme, name="theme"),
    path("dev/mail", mailbox.inbox, name="mailbox"),
    path("dev/mail/letters", mailbox.gallery, name="letters"),
    path("dev/mail/letters/<slug:name>", mailbox.letter, name="letter"),
    path("dev/mail/letters/<slug:name>/html", mailbox.letter_html, name="letter_html"),
    path("dev/mail/<slug:name>", mailbox.message, name="mailbox_message"),
    path("dev/mail/<slug:name>/html", mailbox.message_html, name="mailbox_html"),
]
