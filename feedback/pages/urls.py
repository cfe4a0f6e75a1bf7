"""The Feedback tab."""

from django.urls import path

from feedback.pages import views

app_name = "feedback"
urlpatterns = [
    path("dashboard/feedback", views.bug, name="bug"),
    path("dashboard/feedback/feature", views.feature, name="feature"),
    path("dashboard/feedback/reports", views.reports, name="reports"),
    path("dashboard/feedback/reports/<uuid:report_id>", views.report, name="report"),
    path("dashboard/feedback/reports/<uuid:report_id>/sent", views.sent, name="sent"),
    path("dashboard/feedback/images/<uuid:image_id>", views.image, name="image"),
]
