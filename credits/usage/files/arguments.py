"""The arguments of `import_usage`, with its help."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import CommandParser

from credits.usage.files.fields import FIELDS
from credits.usage.files.presets import PRESETS

FORMS = ("csv", "json", "jsonl")
EARLY = ("skip", "charge")
EXPORTS = "\n".join(f"  {name}: {preset.about}." for name, preset in PRESETS.items())
HELP = f"""Load usage from a CSV or JSON file, of any age, through the same code as the API. Running it again adds
nothing, so a load that was interrupted is simply started anew. The file is read twice: nothing is loaded from one that
can't be read as a whole.

input_tokens are those that were neither read from the cache nor written to it, as in the API.

Exports that --format knows:
{EXPORTS}
Each row of sums is one request, at the beginning of its time. A sum whose time is not over is a bad line, and so is one
that was loaded before with other figures. Where an export has other names for models, see --model-map."""


def add_contents(parser: CommandParser) -> None:
    """Add those that say what is in the file."""
    add = parser.add_argument
    add("file", type=Path, help="UTF-8, or UTF-16 with its mark; may be compressed by gzip.")
    add("--format", choices=[*FORMS, *PRESETS], help="Default: by the file's name.")
    add("--account", help="Email or id; else a column names each request's account.")
    add("--model", help="Else a column names each request's model.")
    fields = ", ".join(FIELDS)
    words = (
        "The column of a field, where it is called otherwise; may be given often, or several joined by commas. In JSON "
        f"a path, as in usage.input_tokens. a+b adds up columns of tokens. Fields: {fields}."
    )
    add("--map", action="append", default=[], metavar="FIELD=COLUMN", help=words)
    words = "Our name of a model that the file calls otherwise, as in openai/gpt-5=gpt-5."
    add("--model-map", action="append", default=[], metavar="NAME=MODEL", help=words)
    words = (
        "The file's input tokens include the cached ones, as OpenAI, OpenRouter, LiteLLM and Codex count: take them "
        "out, or they are paid twice."
    )
    add("--cached-inside-input", action="store_true", help=words)
    add("--time-zone", default="UTC", help="Of moments without an offset (default: UTC).")
    add("--delimiter", help="Between columns; default: a comma, semicolon, tab or bar, by the header.")
    add("--encoding", help="Such as latin-1 or cp1252.")


def add_effects(parser: CommandParser) -> None:
    """Add those that say what is done with it."""
    add = parser.add_argument
    add("--dry-run", action="store_true", help="Only say what would happen.")
    words = (
        "Lines from before their account signed up: skip leaves them out; charge takes their credits from what the "
        "account has now, and the rest becomes debt. Without it you are asked."
    )
    add("--before-sign-up", choices=EARLY, help=words)
    add("--only-lines", metavar="2,7-9", help="Load only the lines of these numbers.")
    words = (
        "With --only-lines, of a file without request ids: these lines equal others that were loaded, but are other "
        "requests. The same name again adds nothing."
    )
    add("--file-id", metavar="NAME", help=words)
