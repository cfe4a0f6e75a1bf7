from django.apps import AppConfig
from django.contrib.admin import apps as admin


class DashboardConfig(AppConfig):
    name = "dashboard"


class DeskConfig(admin.AdminConfig):
    """Django's admin, arranged as operators work."""

    default = False
    default_site = "dashboard.backoffice.site.Desk"
