"""Django looks here for the operators' pages of feedback."""

from feedback.admin import reports

__all__ = ["reports"]
