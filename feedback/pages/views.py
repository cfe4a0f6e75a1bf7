"""The Feedback tab: a form for each kind of report, and what became of those that were sent (F1–F5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from feedback import images, submission
from feedback.forms import ReportForm, path_or_nothing
from feedback.models import Report, ReportImage
from feedback.submission import KeptImagesGone, TooManyReports
from feedback.uploads import MOST_OF_A_BODY
from sidekick import formatting
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.accounts.sign_in import unsent_words
from sidekick.accounts.sign_in.unsent_words import keeps_words
from sidekick.serving.bodies import takes_body
from sidekick.web import rate_limits
from sidekick.web.pagination import Pages
from sidekick.web.rendering import render_page
from sidekick.web.return_paths import path_here

TOO_FAST = "That was a lot at once. Wait 10 minutes, then try again; your words are still here."
GONE = "An image that was kept from your last try is gone: they stay for a day. Please choose it again."


@keeps_words("title", "priority", "app_version", "description")
@signed_in
@takes_body(most=MOST_OF_A_BODY)
@require_http_methods(["GET", "HEAD", "POST"])
def form(request: Request, kind: Report.Kind) -> HttpResponse:
    if request.method != "POST":
        words = unsent_words.words_for(request)
        return _show_form(request, ReportForm(kind, page=_came_from(request), words=words))
    # Decoding images is expensive, and the limit of ten an hour counts stored reports only.
    may_try = rate_limits.allow(request, "feedback")
    sent_form = ReportForm(kind, request.POST, request.FILES if may_try else None)
    now = timezone.now()
    status = 422
    if not may_try:
        sent_form.add_error(None, TOO_FAST)
        status = 429
    elif sent_form.is_valid():
        try:
            stored = _submit(request, sent_form, now)
        except TooManyReports as refused:
            sent_form.add_error(None, _too_many(refused, now, request.user.zone))
            status = 429
        except KeptImagesGone:
            sent_form.add_error("images", GONE)
        else:
            unsent_words.forget(request)
            return redirect("feedback:sent", stored.id)
    # A browser can't fill in a file field again, so checked images wait here for the next try.
    sent_form.kept = submission.keep_images(request.user, sent_form.token, sent_form.ticked, sent_form.added, now)
    return _show_form(request, sent_form, status=status)


@signed_in
def draw_again(request: Request, words: str, kind: Report.Kind) -> HttpResponse:
    """The form with what was typed and a reason why it was not sent; 403. Images have to be chosen again."""
    unsent = ReportForm(kind, request.POST)
    unsent.add_error(None, words)
    return _show_form(request, unsent, status=403)


@signed_in
@require_safe
def reports(request: Request) -> HttpResponse:
    """My reports, newest first (F4)."""
    mine = Report.objects.filter(account=request.user)
    pages = Pages.for_count(mine.count(), request.GET.get("page", "1"), lambda n: f"?page={n}" if n > 1 else "?")
    rows = mine.defer("description", "note")[pages.rows] if pages.count else []
    return render_page(
        request,
        "feedback/reports.html",
        {"title": "My reports", "view": "reports", "reports": rows, "pages": pages, **_links(request)},
        fragment="feedback/_reports.html",
        regions={"reports": "feedback/_reports_table.html"},
        status=422 if pages.errors else 200,
    )


@signed_in
@require_safe
def report(request: Request, report_id: str) -> HttpResponse:
    """One report with the team's reply."""
    found = _mine(request, report_id)
    context = {
        "title": found.title,
        "report": found,
        "changes": found.changes.all(),
        "images": found.images.defer("content"),
    }
    return render_page(request, "feedback/report.html", context, fragment="feedback/_report.html")


@signed_in
@require_safe
def sent(request: Request, report_id: str) -> HttpResponse:
    """The confirmation."""
    found = _mine(request, report_id)
    context = {"title": f"Thank you, we have your {found.wording.noun}", "report": found}
    return render_page(request, "feedback/sent.html", context, fragment="feedback/_sent.html")


@require_safe
def image(request: Request, image_id: str) -> HttpResponse:
    """An image, to its author and to operators; everyone else gets the 404 of an unknown id (F5)."""
    found = ReportImage.objects.visible_to(request.user).filter(id=image_id).first()
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.content), content_type=found.media_type)
    response["Content-Disposition"] = f'inline; filename="{found.id}.{found.media_type.partition("/")[2]}"'
    # The file came from a stranger: opened by itself it must not run, and no other site may embed it.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "private, max-age=3600"
    return response


def _submit(request: Request, sent_form: ReportForm, now: datetime) -> Report:
    typed = sent_form.cleaned_data
    unsaved = Report(
        account=request.user,
        kind=sent_form.kind,
        title=typed["title"],
        description=typed["description"],
        priority=typed["priority"],
        app_version=typed["app_version"],
        page=typed["page"],
        browser=_browser(request),
    )
    return submission.send(unsaved, form_token=sent_form.token, kept=sent_form.ticked, added=sent_form.added, now=now)


def _show_form(request: Request, shown: ReportForm, *, status: int = 200) -> HttpResponse:
    context = {
        "title": shown.kind.wording.title,
        "view": shown.kind,
        "form": shown,
        "browser": _browser(request),
        "most_images": images.MOST_IMAGES,
        "most_megabytes": images.MOST_BYTES // 1024 // 1024,
        "refusals": images.TOLD_AT_ONCE,
        **_links(request),
    }
    return render_page(request, "feedback/form.html", context, fragment="feedback/_form.html", status=status)


def _too_many(refused: TooManyReports, now: datetime, zone: ZoneInfo) -> str:
    minutes = -(-(refused.again_at - now).total_seconds() // 60)
    clock = formatting.clock(timezone.localtime(refused.again_at, zone), seconds=False)
    wait = "a minute" if minutes <= 1 else f"{minutes:.0f} minutes"
    return (
        f"You have sent {submission.MOST_IN_AN_HOUR} reports within an hour, which is the most we take. "
        f"You can send this one in {wait}, at {clock} ({zone.key}); everything you wrote is still here."
    )


def _links(request: Request) -> dict[str, Any]:
    """The tab's own navigation. The page they came from is handed on from form to form."""
    page = _came_from(request)
    return {"kinds": list(Report.Kind), "along": f"?{urlencode({'from': page})}" if page else ""}


def _came_from(request: Request) -> str:
    """The path of the page on this site that they left to report something; "" where it is not known."""
    named = request.POST.get("page") or request.GET.get("from")
    if named:
        return path_or_nothing(named)
    before = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    path = path_here(request, before).partition("?")[0]
    # Neither this tab nor the sign-in on the way to it is the page that a report is about.
    inside = path.startswith((reverse("feedback:form"), reverse("account_login")))
    return "" if inside else path_or_nothing(path)


def _browser(request: Request) -> str:
    return request.headers.get("User-Agent", "")[:300]


def _mine(request: Request, report_id: str) -> Report:
    return get_object_or_404(Report.objects.defer("note"), account=request.user, id=report_id)
