"""`/api/v1/auth/…`"""

from django.urls import path

from . import api

urlpatterns = [
    path("token", api.token, name="api-auth-token"),
    path("refresh", api.refresh, name="api-auth-refresh"),
    path("logout", api.logout, name="api-auth-logout"),
]
