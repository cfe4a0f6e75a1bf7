from django.urls import path

from billing import views

urlpatterns = [path("dashboard/billing", views.billing, name="billing")]
