import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from credits.usage import recording
from credits.usage.dry_run import DryRun
from credits.usage.files import arguments, report
from credits.usage.files import options as given
from credits.usage.files.accounts import Accounts
from credits.usage.files.checking import Checked, check
from credits.usage.files.fields import Fields
from credits.usage.files.ids import IdMaker
from credits.usage.files.parsing.lines import Refused
from credits.usage.files.parsing.source import Source, opened
from credits.usage.files.recognising import reading_of
from credits.usage.files.requests import RequestReader
from credits.usage.importing import Import

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}


class Command(BaseCommand):
    help = arguments.HELP

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **options)

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add_contents(parser)
        arguments.add_effects(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            load = self._load(options)
        except Refused as error:
            raise CommandError(str(error)) from None
        result, unit = load.result, load.reading.unit
        for sentence in report.bad(result, unit):
            self.stderr.write(sentence)
        if result.equal:
            self.stderr.write(report.equal(result, unit))
        if result.bad:
            be = "would not be" if options["dry_run"] else "were not"
            raise CommandError(f"Some {unit}s {be} loaded. Mend them and run this again: nothing is added twice.")

    def _load(self, options: dict[str, Any]) -> Import:
        columns = given.columns(options["map"])
        constants = given.constants(options["account"], options["model"], columns)
        fields = Fields({}, constants, given.zone(options["time_zone"]), options["cached_inside_input"])
        models, chosen = given.models(options["model_map"]), given.chosen(options["only_lines"])
        file_id, trying = options["file_id"] or "", options["dry_run"]
        if file_id and not chosen:
            raise Refused("--file-id needs --only-lines: otherwise all lines of the file might be charged again.")
        form, delimiter = _form(options), given.delimiter(options["delimiter"])
        with opened(options["file"], options["encoding"]) as source:
            reading = reading_of(source, form, fields, columns, delimiter)
            ids = IdMaker(reading.fields, file_id)
            reader = RequestReader(reading.fields, Accounts(), models, timezone.now(), ids, reading.layout.sums)
            with _progress(source, "Checking") as progress:
                checked = check(reading, reader, columns, chosen, progress)
            charged = self._charges_early(checked, reading.unit, options)
            dry_run = DryRun()
            record = dry_run.record if trying else recording.record
            load = Import(reading, reader, record, chosen, charged, source.must_be_unchanged)
            with _progress(source, "Trying" if trying else "Loading") as progress:
                for _ in load.load():
                    progress()
        self.stdout.write(f"{'Would be: ' if trying else ''}{report.counts(load.result, reading.unit)}")
        if trying:
            self._tell(dry_run, checked, load)
        return load

    def _charges_early(self, checked: Checked, unit: str, options: dict[str, Any]) -> bool:
        """Returns whether lines from before sign-up are charged. Raises `Refused` where nobody says so."""
        answer = options["before_sign_up"]
        if checked.early and not answer and not options["dry_run"]:
            question = report.early(checked, unit)
            if not sys.stdin.isatty():
                raise Refused(f"Nothing was loaded. {question}")
            self.stderr.write(question)
            answer = input("skip, charge, or nothing to stop: ").strip()
            if answer not in arguments.EARLY:
                raise Refused("Nothing was loaded.")
        return bool(answer == "charge")

    def _tell(self, dry_run: DryRun, checked: Checked, load: Import) -> None:
        """Say what a load would do beyond its counts."""
        for sentence in report.credits(dry_run.totals):
            self.stdout.write(sentence)
        if load.result.early:
            self.stdout.write(report.early(checked, load.reading.unit))
        if unread := report.unread(checked, load.reading.fields):
            self.stdout.write(f"Columns that are not read: {unread}.")


def _form(options: dict[str, Any]) -> str:
    path: Path = options["file"]
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    form = options["format"] or SUFFIXES.get(suffixes[-1] if suffixes else "")
    if form is None:
        raise CommandError(f"The name {path.name} does not tell the format. Say --format csv or --format jsonl.")
    return str(form)


@contextmanager
def _progress(source: Source, doing: str) -> Iterator[Callable[[], None]]:
    with tqdm(total=source.size, desc=doing, unit="B", unit_scale=True, disable=None) as bar:

        def progress() -> None:
            bar.update(source.position - bar.n)

        yield progress
