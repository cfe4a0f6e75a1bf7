"""The Feedback tab."""

from django.urls import path

from feedback.pages import views

urlpatterns = [
    path("dashboard/feedback", views.bug, name="feedback"),
    path("dashboard/feedback/feature", views.feature, name="feedback_feature"),
    path("dashboard/feedback/reports", views.reports, name="reports"),
    path("dashboard/feedback/reports/<uuid:report_id>", views.report, name="report"),
    path("dashboard/feedback/reports/<uuid:report_id>/sent", views.sent, name="report_sent"),
    path("dashboard/feedback/images/<uuid:image_id>", views.image, name="report_image"),
]
