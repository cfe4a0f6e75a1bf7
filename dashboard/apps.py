from django.apps import AppConfig
from django.contrib.admin import apps as admin


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        # Importing it registers the checks; `sidekick` is no app and has no `ready` of its own.
        from sidekick.settings import checks  # noqa: F401


class DeskConfig(admin.AdminConfig):
    """Django's admin, arranged as operators work."""

    default = False
    default_site = "dashboard.backoffice.site.Desk"
