"""A file as text: its compression and encoding are recognised by its first bytes."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from credits.usage.files.parsing.encodings import GZIP, ZIP, encoding_of
from credits.usage.files.parsing.lines import Refused


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[Source]:
    """Open a file that can be read from the beginning again. Raises `Refused` where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused(f"{path} is no regular file. It is read twice, so save it first.")
        raw = path.open("rb")
    except OSError as error:
        raise Refused(f"{path} can't be read: {error.strerror}.") from None
    with raw:
        yield Source(raw, encoding)


class Source:
    """The text of an open file, and how far it was read. `size` and `position` are bytes on disk."""

    def __init__(self, raw: BinaryIO, encoding: str | None) -> None:
        self._raw = raw
        self._named = encoding is not None
        self._stamp = self._now()
        self.size = self._stamp[0]
        self._packed = raw.read(2) == GZIP
        with self._reading():
            head = self._binary().read(4)
        if head.startswith(ZIP):
            raise Refused("This is a ZIP archive or a workbook: save its table as CSV.")
        self.encoding = encoding_of(head, encoding)

    @property
    def position(self) -> int:
        return self._raw.tell()

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """Give the whole text from its beginning, with its line ends as they are.

        Raises `Refused` where the bytes are not of the encoding, or not gzip's as their beginning says.
        """
        text = io.TextIOWrapper(self._binary(), self.encoding, errors="strict", newline="")
        try:
            with self._reading():
                yield text
        finally:
            # The wrapper would close the file with itself.
            text.detach()

    def must_be_unchanged(self) -> None:
        """Raises `Refused` where the file was written since it was opened: its new lines were not checked."""
        if self._now() != self._stamp:
            raise Refused("The file changed while it was read. Run this again when nobody writes to it.")

    def _now(self) -> tuple[int, int]:
        status = os.fstat(self._raw.fileno())
        return status.st_size, status.st_mtime_ns

    def _binary(self) -> BinaryIO:
        self._raw.seek(0)
        return cast("BinaryIO", gzip.GzipFile(fileobj=self._raw)) if self._packed else self._raw

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError:
            if self._named:
                raise Refused(f"The file is not {self.encoding}.") from None
            said = f"Line {line} is" if (line := self._undecodable_line()) else "The file is"
            raise Refused(
                f"{said} not {self.encoding.removesuffix('-sig').upper()}. Name the file's encoding, as in "
                "--encoding latin-1 or --encoding cp1252."
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise Refused("The file begins like gzip, but can't be unpacked whole.") from None

    def _undecodable_line(self) -> int | None:
        """Returns the number of the first line that is not UTF-8. Lines of other encodings can't be told apart."""
        if self.encoding != "utf-8-sig":
            return None
        for number, line in enumerate(self._binary(), start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
        return None
