"""The project's addresses, and a few small views that show what a request is taken for."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from sidekick.accounts.api.authentication import BearerAuthentication, ServiceKeyAuthentication, has_scope
from sidekick.accounts.decorators import signed_in
from sidekick.urls import handler404, handler500
from sidekick.urls import urlpatterns as project_urls

__all__ = ["handler404", "handler500", "urlpatterns"]


@signed_in
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"page of {request.user}")


def who(request: Any) -> JsonResponse:
    return JsonResponse({"user": str(request.user), "session": str(request.device_session)})


def public(request: HttpRequest) -> HttpResponse:
    return HttpResponse("for everyone")


def cached(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"picture of {request.user}", headers={"Cache-Control": "private, max-age=60"})


@transaction.atomic
def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(f"{request.user} asked for it")


@api_view(["GET", "POST"])
@authentication_classes([BearerAuthentication])
@permission_classes([IsAuthenticated])
def customers(request: Request) -> Response:
    return Response({"user": str(request.user), "data": request.data})


@api_view(["GET"])
@authentication_classes([ServiceKeyAuthentication])
@permission_classes([has_scope("usage:write")])
def backend(request: Request) -> Response:
    return Response({"key": str(request.auth)})


@api_view(["GET"])
@authentication_classes([BearerAuthentication, ServiceKeyAuthentication])
@permission_classes([has_scope("credits:read") | IsAuthenticated])
def both(request: Request) -> Response:
    return Response({"user": str(request.user), "auth": str(request.auth)})


urlpatterns = [
    path("dashboard/test/page", page),
    path("test/who", who),
    path("test/public", public),
    path("test/cached", cached),
    path("test/broken", broken),
    path("api/v1/test/customers", customers),
    path("api/v1/test/backend", backend),
    path("api/v1/test/both", both),
    *project_urls,
]
