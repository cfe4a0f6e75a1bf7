"""One indexed query, twenty rows, formatted where Django's tutorial would: in the template."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from credits.models import UsageEvent


def rows(request: HttpRequest, account: str) -> HttpResponse:
    events = UsageEvent.objects.filter(account=account).select_related("model").order_by("-occurred_at", "-request_id")
    return render(request, "bare.html", {"rows": events[:20]})


urlpatterns = [path("<uuid:account>", rows)]
