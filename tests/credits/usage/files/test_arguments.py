"""The help of `import_usage`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from credits.usage.files import arguments
from credits.usage.files.presets import PRESETS


def test_the_help_says_which_exports_are_meant(capsys: pytest.CaptureFixture[str]) -> None:  # M10
    with pytest.raises((SystemExit, CommandError)):
        call_command("import_usage", "--help")
    said = capsys.readouterr().out
    for name, preset in PRESETS.items():
        assert f"  {name}: {preset.about}." in said
    assert arguments.HELP in said
    assert "--cached-inside-input" in said
    assert "input_tokens are those that were neither read from the cache nor written to it" in said
