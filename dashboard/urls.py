"""The homepage, pricing and what has no section of its own."""

from django.urls import path

from dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("pricing", views.pricing, name="pricing"),
    path("dashboard", views.dashboard, name="dashboard"),
    path("about/<slug:page>", views.placeholder, name="placeholder"),
    path("theme", views.theme, name="theme"),
]
