"""Django finds the admin of credits here."""

from credits.admin import grants, read_only

__all__ = ["grants", "read_only"]
