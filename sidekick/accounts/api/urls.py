"""`/api/v1/auth/…`"""

from django.urls import path

from sidekick.accounts.api import views

urlpatterns = [
    path("token", views.token, name="token"),
    path("refresh", views.refresh, name="refresh"),
    path("logout", views.logout, name="logout"),
]
