"""The Feedback tab."""

from __future__ import annotations

from django.urls import path, register_converter

from feedback.models import Report
from feedback.pages import views

FIRST = next(iter(Report.Kind))


class OtherKind:
    """The kinds behind the first, which the tab's own address opens."""

    regex = "[a-z]+"

    def to_python(self, value: str) -> Report.Kind:
        kind = Report.Kind(value)
        if kind is FIRST:
            raise ValueError(kind)
        return kind

    def to_url(self, kind: str) -> str:
        return self.to_python(kind).value


register_converter(OtherKind, "other_kind")

app_name = "feedback"
urlpatterns = [
    path("dashboard/feedback", views.form, {"kind": FIRST}, name="form"),
    path("dashboard/feedback/reports", views.reports, name="reports"),
    path("dashboard/feedback/reports/<uuid:report_id>", views.report, name="report"),
    path("dashboard/feedback/reports/<uuid:report_id>/sent", views.sent, name="sent"),
    path("dashboard/feedback/images/<uuid:image_id>", views.image, name="image"),
    path("dashboard/feedback/<other_kind:kind>", views.form, name="form"),
]
