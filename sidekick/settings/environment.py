"""The environment, read by django-environ."""

import os
from collections.abc import Callable
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):
    """django-environ, stricter about what it can't read.

    Spaces around a value don't count, and a variable with nothing in it counts as not set. Raises
    `ImproperlyConfigured` for a number that is not a whole one and for a switch that is neither yes nor no:
    django-environ alone would take "perhaps" for no.
    """

    # django-environ takes a value that begins with `$` for the name of another variable, but a random secret may
    # begin so. An escaped `$` stands for itself.
    ENVIRON: Any = {name: value.strip().replace("$", r"\$") for name, value in os.environ.items() if value.strip()}

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        try:
            return super().get_value(var, CASTS.get(cast, cast), default, parse_default)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} must be {error}.") from None


def whole_number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"a whole number, not {text!r}")
    return int(text)


def yes_or_no(text: str) -> bool:
    if text.lower() not in {"yes", "no", "true", "false", "1", "0"}:
        raise ValueError(f"yes or no, not {text!r}")
    return text.lower() in {"yes", "true", "1"}


CASTS: dict[Any, Callable[[str], Any]] = {int: whole_number, bool: yes_or_no}

env = Environment()
env.escape_proxy = True
