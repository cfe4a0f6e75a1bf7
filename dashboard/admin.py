"""Django looks here for what operators see; it stands in `backoffice`."""

from dashboard.backoffice import admin

__all__ = ["admin"]
