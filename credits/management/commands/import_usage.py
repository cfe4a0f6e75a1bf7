import io
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from credits.models import AIModel
from credits.usage import importing
from sidekick.accounts.models import User

READERS = {"csv": importing.read_csv, "jsonl": importing.read_json_lines}
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


class Command(BaseCommand):
    help = (
        "Load usage from a CSV or JSON-lines file, of any age, through the same code as the API. Running it again "
        "adds nothing, so a load that was interrupted is simply started anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--account", help="Email or id; else a column names each request's account.")
        parser.add_argument("--model", help="Else a column names each request's model.")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=COLUMN",
            help=f"Which column holds a field, where it is called otherwise; may be given often, or several joined "
            f"by commas. Fields: {', '.join(importing.FIELDS)}.",
        )
        parser.add_argument("--time-zone", default="UTC", help="Of moments without an offset (default: UTC).")
        parser.add_argument("--format", choices=list(READERS), help="Default: by the file's name.")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        kind = options["format"] or SUFFIXES.get(path.suffix.lower())
        if kind is None:
            raise CommandError(f"What is {path.name}? Say --format csv or --format jsonl.")
        columns = importing.Columns(_mapping(options["map"]), _constants(options), _zone(options["time_zone"]))
        try:
            size = path.stat().st_size
            raw = path.open("rb")
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from None
        result = importing.ImportResult()
        file = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")
        with file, tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
            for current in importing.load(READERS[kind](file), columns):
                result = current
                bar.update(raw.tell() - bar.n)
        for number, why in result.bad:
            self.stderr.write(f"line {number}: {why}")
        self.stdout.write(
            f"{result.accepted:,} added, {result.duplicates:,} known already, {len(result.bad):,} bad lines."
        )
        if result.bad:
            raise CommandError("Some lines were not loaded. Mend them and run this again: nothing is added twice.")


def _mapping(given: list[str]) -> dict[str, str]:
    pairs = [pair for text in given for pair in text.split(",")]
    mapping = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    wrong = [pair for pair in pairs if "=" not in pair] + [name for name in mapping if name not in importing.FIELDS]
    if wrong:
        raise CommandError(f"--map {wrong[0]}: give FIELD=COLUMN, with a field of {', '.join(importing.FIELDS)}.")
    return mapping


def _constants(options: dict[str, Any]) -> dict[str, str]:
    constants = {}
    if options["account"]:
        account = User.objects.named(options["account"])
        if account is None:
            raise CommandError(f"There is no account {options['account']}.")
        constants["account"] = str(account.id)
    if options["model"]:
        if not AIModel.objects.filter(name=options["model"]).exists():
            raise CommandError(f"The price book has no model {options['model']}.")
        constants["model"] = options["model"]
    return constants


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(f"There is no time zone {name}.") from None
