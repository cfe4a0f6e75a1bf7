"""The link at the end of a letter about the balance: it ends these letters without signing in (C9)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from credits import emails


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop_balance_emails(request: HttpRequest, token: str) -> HttpResponse:
    """A mail program posts here by itself, without a page of ours before it; whoever looks changes nothing."""
    account = emails.account_of(token)
    if account is None:
        raise Http404
    if request.method == "POST":
        account.balance_emails = False
        account.save(update_fields=["balance_emails"])
    title = "Stop these emails?" if account.balance_emails else "No more low-balance emails"
    return render(request, "credits/stop_emails.html", {"title": title, "stopped": not account.balance_emails})
