"""The Feedback tab: report a bug, request a feature, and follow what became of each report (F1–F5)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_safe

from feedback import drafts, images, submission
from feedback.forms import ReportForm, path_or_nothing
from feedback.models import Report, ReportImage
from feedback.submission import ImagesGone, TooMany
from sidekick.accounts.decorators import signed_in
from sidekick.accounts.http import Request
from sidekick.web import rate_limits
from sidekick.web.pagination import Pages
from sidekick.web.rendering import is_fragment, render_page

LIST_REGION = "reports"
GONE = "An image that was kept from your last try is gone: they stay for a day. Please choose it again."


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def form(request: Request, kind: Report.Kind) -> HttpResponse:
    if request.method != "POST":
        return _show(request, ReportForm(kind, page=_came_from(request)))
    # Images cost time to decode; the limit of ten counts stored reports only.
    may_try = rate_limits.allow(request, "feedback")
    filled = ReportForm(kind, request.POST, request.FILES if may_try else None)
    now = timezone.now()
    status = 422
    if not may_try:
        filled.add_error(None, "That was a lot at once. Wait a few minutes, then try again; your words are still here.")
        status = 429
    elif filled.is_valid():
        try:
            done = _send(request, filled, now)
        except TooMany as refusal:
            filled.add_error(None, _too_many(refusal, now, request.user.zone))
            status = 429
        except ImagesGone:
            filled.add_error("images", GONE)
        else:
            return redirect("feedback:sent", done.id)
    filled.kept = drafts.keep(request.user, filled.token, filled.ticked, filled.added, now)
    return _show(request, filled, status=status)


@signed_in
@require_safe
def reports(request: Request) -> HttpResponse:
    """My reports, newest first (F4)."""
    mine = Report.objects.filter(account=request.user)
    pages = Pages.of(mine.count(), request.GET.get("page", "1"), lambda n: f"?page={n}" if n > 1 else "?")
    rows = mine.defer("description", "note")[pages.rows] if pages.count else []
    context = {"title": "My reports", "view": "reports", "reports": rows, "pages": pages, **_links(request)}
    only_list = is_fragment(request) and request.htmx.target == LIST_REGION
    fragment = "feedback/_reports_table.html" if only_list else "feedback/_reports.html"
    return _render(request, "reports", context, fragment=fragment, invalid=bool(pages.errors))


@signed_in
@require_safe
def report(request: Request, report_id: str) -> HttpResponse:
    """One report with the team's answer."""
    found = _mine(request, report_id)
    context = {
        "title": found.title,
        "report": found,
        "changes": found.changes.all(),
        "images": found.images.defer("content"),
    }
    return _render(request, "report", context)


@signed_in
@require_safe
def sent(request: Request, report_id: str) -> HttpResponse:
    """The confirmation."""
    found = _mine(request, report_id)
    title = f"Thank you, we have your {found.wording.noun}"
    return _render(request, "sent", {"title": title, "report": found})


@require_safe
def image(request: Request, image_id: str) -> HttpResponse:
    """An image, to its author and to operators; nobody else learns whether it exists (F5)."""
    found = ReportImage.objects.visible_to(request.user).filter(id=image_id).first()
    if found is None:
        raise Http404
    answer = HttpResponse(bytes(found.content), content_type=found.media_type)
    answer["Content-Disposition"] = f'inline; filename="{found.id}.{found.media_type.partition("/")[2]}"'
    answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Cross-Origin-Resource-Policy"] = "same-origin"
    answer["Cache-Control"] = "private, max-age=3600"
    return answer


def _send(request: Request, form: ReportForm, now: datetime) -> Report:
    words = form.cleaned_data
    unsaved = Report(
        account=request.user,
        kind=form.kind,
        title=words["title"],
        description=words["description"],
        priority=words["priority"],
        app_version=words["app_version"],
        page=words["page"],
        browser=_browser(request),
    )
    return submission.send(unsaved, form_token=form.token, kept=form.ticked, added=form.added, now=now)


def _show(request: Request, form: ReportForm, *, status: int = 200) -> HttpResponse:
    context = {
        "title": form.kind.wording.title,
        "view": form.kind,
        "form": form,
        "browser": _browser(request),
        "most_images": images.MOST_IMAGES,
        "most_megabytes": images.MOST_BYTES // 1024 // 1024,
        **_links(request),
    }
    response = _render(request, "form", context)
    if is_fragment(request):
        # The fragment of a refused form leaves the address as it was.
        if request.method == "POST":
            response["HX-Push-Url"] = "false"
    else:
        response.status_code = status
    return response


def _too_many(refusal: TooMany, now: datetime, zone: ZoneInfo) -> str:
    minutes = -(-(refusal.again_at - now).total_seconds() // 60)
    clock = timezone.localtime(refusal.again_at, zone).strftime("%H:%M")
    wait = "a minute" if minutes <= 1 else f"{minutes:.0f} minutes"
    return (
        f"You have sent {submission.MOST_IN_AN_HOUR} reports within an hour, which is the most we take. "
        f"You can send this one in {wait}, at {clock} ({zone.key}); everything you wrote is still here."
    )


def _links(request: Request) -> dict[str, Any]:
    """From form to form the page they came from goes along."""
    page = _came_from(request)
    return {"kinds": list(Report.Kind), "along": f"?{urlencode({'from': page})}" if page else ""}


def _came_from(request: Request) -> str:
    """The page of ours they were on before they came here to report something."""
    named = request.POST.get("page") or request.GET.get("from")
    if named:
        return path_or_nothing(named)
    before = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(before, allowed_hosts={request.get_host()}):
        return ""
    path = urlsplit(before).path
    inside = path.startswith((reverse("feedback:form"), reverse("account_login")))
    return "" if inside else path_or_nothing(path)


def _browser(request: Request) -> str:
    return request.headers.get("User-Agent", "")[:300]


def _mine(request: Request, report_id: str) -> Report:
    return get_object_or_404(Report.objects.defer("note"), account=request.user, id=report_id)


def _render(
    request: Request, view: str, context: dict[str, Any], *, fragment: str = "", invalid: bool = False
) -> HttpResponse:
    """The page or its fragment, with times in the account's zone."""
    fragment = fragment or f"feedback/_{view}.html"
    with timezone.override(request.user.zone):
        return render_page(request, f"feedback/{view}.html", context, fragment=fragment, status=422 if invalid else 200)
