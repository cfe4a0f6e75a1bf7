"""The account page."""

from django.urls import path

from dashboard.account import views

app_name = "account"
urlpatterns = [
    path("dashboard/account", views.profile, name="profile"),
    path("dashboard/account/security", views.security, name="security"),
    path("dashboard/account/sessions", views.sessions, name="sessions"),
    path("dashboard/account/sessions/end-others", views.end_other_sessions, name="end_other_sessions"),
    path("dashboard/account/sessions/<uuid:session_id>/end", views.end_session, name="end_session"),
    path("dashboard/account/data", views.data, name="data"),
    path("dashboard/account/data/download", views.download, name="download"),
    path("dashboard/account/delete", views.delete, name="delete"),
    path("farewell", views.deleted, name="deleted"),
]
