"""The link at the end of an email about the balance: it ends these emails without signing in (C9)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from credits import emails


# A mail program posts here by itself, without a form of ours (RFC 8058), so there is no CSRF token.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def stop_balance_emails(request: HttpRequest, token: str) -> HttpResponse:
    account = emails.account_of(token)
    if account is None:
        raise Http404
    # Only a POST changes anything: programs that scan emails follow every link.
    if request.method == "POST":
        account.balance_emails = False
        account.save(update_fields=["balance_emails"])
    title = "Stop these emails?" if account.balance_emails else "No more low-balance emails"
    context = {"title": title, "stopped": not account.balance_emails}
    return render(request, "credits/stop_balance_emails.html", context)
