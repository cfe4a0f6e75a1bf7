"""The project's addresses and three that fail."""

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from dashboard import errors
from sidekick.urls import handler400, handler403, handler404, handler500
from sidekick.urls import urlpatterns as own

__all__ = ["handler400", "handler403", "handler404", "handler500"]


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("broken on purpose")


def senseless(request: HttpRequest) -> HttpResponse:
    raise BadRequest


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns: list[URLPattern | URLResolver] = [
    *own,
    path("test/400", senseless),
    path("test/403", forbidden),
    path("test/429", errors.too_many_requests),
    path("test/500", broken),
    path("api/v1/test/500", broken),
]
