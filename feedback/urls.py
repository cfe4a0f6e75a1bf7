from django.urls import path

from feedback import views

urlpatterns = [path("dashboard/feedback", views.feedback, name="feedback")]
