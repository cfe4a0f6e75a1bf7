from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from sidekick.accounts.decorators import signed_in
from sidekick.pages import Request, render_page


@signed_in
@require_safe
def feedback(request: Request) -> HttpResponse:
    return render_page(request, "feedback/feedback.html", {"title": "Feedback"}, fragment="feedback/_feedback.html")
