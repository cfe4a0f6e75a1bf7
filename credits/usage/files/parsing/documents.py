"""JSON: an object a line, an array of objects, or objects over several lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from credits.usage.files.parsing.decoder import SPACE, Buffer, Repeated, loaded
from credits.usage.files.parsing.lines import BadLine, Numbered


def read_lines(text: TextIO) -> Iterator[Numbered]:
    """Yield the object of each line with the line's number, from 1. Empty lines are passed over."""
    for number, line in enumerate(text, start=1):
        if line.strip(SPACE):
            yield number, _row(loaded(line.strip(SPACE)))


def read_items(text: TextIO) -> Iterator[Numbered]:
    """Yield the objects of one array, or of objects one after the other, each with its place in the file, from 1.

    Raises `Refused` where an item can't be read: it does not say where the next one begins.
    """
    buffer = Buffer(text)
    in_array = buffer.skip() == "["
    if in_array:
        buffer.drop(1)
    number = 0
    while (mark := buffer.skip()) and mark != "]":
        if number and in_array:
            if mark != ",":
                raise buffer.refused()
            buffer.drop(1)
            buffer.skip()
        number += 1
        yield number, _row(buffer.take())
    if in_array:
        if mark != "]":
            raise buffer.refused()
        buffer.drop(1)
    if buffer.skip():
        raise buffer.refused()


def has_lines(text: TextIO) -> bool:
    """Returns whether the text is an object a line. It is read in part."""
    line = next((line for line in text if line.strip(SPACE)), "").strip(SPACE)
    # Only a whole object on the first line says so; text that is no JSON at all is reported by line as well.
    return not line.startswith("[") and (isinstance(loaded(line), dict | Repeated) or not line.startswith("{"))


def _row(value: Any) -> Mapping[str, Any] | BadLine:
    if isinstance(value, Repeated):
        return BadLine(f"{value} stands in it twice")
    return value if isinstance(value, dict) else BadLine("not a JSON object")
