from __future__ import annotations

from allauth.account.internal.flows import logout as flow
from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect


@require_POST
def logout(request: HttpRequest) -> HttpResponseBase:
    """End this device's session on the server and go home, which may be another site (A5)."""
    flow.logout(request, show_message=False)
    answer = HttpResponseClientRedirect if "HX-Request" in request.headers else HttpResponseRedirect
    return answer(settings.HOME_URL)
