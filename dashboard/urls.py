from django.urls import path

from dashboard import views
from dashboard.account import views as account_views
from dashboard.dev import mailbox

urlpatterns = [
    path("", views.home, name="home"),
    path("pricing", views.pricing, name="pricing"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("dashboard/account", account_views.profile, name="account"),
    path("dashboard/account/security", account_views.security, name="security"),
    path("dashboard/account/sessions", account_views.sessions, name="sessions"),
    path("dashboard/account/sessions/end-others", account_views.end_other_sessions, name="end_other_sessions"),
    path("dashboard/account/sessions/<uuid:session_id>/end", account_views.end_session, name="end_session"),
    path("dashboard/account/data", account_views.data, name="my_data"),
    path("dashboard/account/data/download", account_views.download, name="download_my_data"),
    path("dashboard/account/delete", account_views.delete, name="delete_account"),
    path("farewell", account_views.deleted, name="farewell"),
    path("theme", views.theme, name="theme"),
    path("dev/mail", mailbox.inbox, name="mailbox"),
    path("dev/mail/letters", mailbox.gallery, name="letters"),
    path("dev/mail/letters/<slug:name>", mailbox.letter, name="letter"),
    path("dev/mail/letters/<slug:name>/html", mailbox.letter_html, name="letter_html"),
    path("dev/mail/<slug:name>", mailbox.message, name="mailbox_message"),
    path("dev/mail/<slug:name>/html", mailbox.message_html, name="mailbox_html"),
]
