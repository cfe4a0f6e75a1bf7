"""allauth's pages, with a sign-out of our own in the place of its."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("logout", views.logout, name="logout"),
    # allauth's templates link to this name; it stands first, so its own page (which answers GET) is out of reach.
    path("logout/", views.logout, name="account_logout"),
    path("", include("allauth.urls")),
]
