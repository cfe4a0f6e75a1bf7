from django.apps import AppConfig
from django.contrib.admin import apps as admin


class DashboardConfig(AppConfig):
    name = "dashboard"

    def ready(self) -> None:
        # Importing it registers the checks; `sidekick` is no app and has no `ready` of its own.
        from sidekick.settings import checks  # noqa: F401


class OperatorAdminConfig(admin.AdminConfig):
    """Puts our site in the place of Django's admin."""

    default = False
    default_site = "dashboard.backoffice.site.OperatorSite"
