"""`/api/v1/auth/…`"""

from django.urls import path

from sidekick.accounts.api import views

urlpatterns = [
    path("token", views.token, name="api-auth-token"),
    path("refresh", views.refresh, name="api-auth-refresh"),
    path("logout", views.logout, name="api-auth-logout"),
]
