"""Django looks here for what operators see and do of credits."""

from credits.admin import grants, read_only

__all__ = ["grants", "read_only"]
