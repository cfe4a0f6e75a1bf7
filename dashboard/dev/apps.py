from django.apps import AppConfig


class DevConfig(AppConfig):
    """Installed in development only. It has no models."""

    name = "dashboard.dev"
    label = "dev"
