"""Form fields for what customers and operators write, and for several files at once."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict

from sidekick.text import trimmed

CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class LineField(forms.CharField):
    """One line of words, even where several were pasted."""

    def to_python(self, value: Any) -> str:
        return one_line(super().to_python(value) or "")


class TextField(forms.CharField):
    """Lines of words, with one character for the end of each."""

    def to_python(self, value: Any) -> str:
        # Browsers send two characters for the end of a line, which people who count characters take for one.
        lines = (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")
        return trimmed(CONTROL_CHARACTERS.sub("", lines))


class FilesInput(forms.FileInput):
    allow_multiple_selected = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[UploadedFile[bytes]]:
        # A browser sends one empty file without a name where none was chosen.
        return list(files.getlist(name)) if isinstance(files, MultiValueDict) else []


class FilesField(forms.Field):
    """All files that were chosen, as a list; the form checks them."""

    widget = FilesInput


def one_line(text: str) -> str:
    return trimmed(" ".join(CONTROL_CHARACTERS.sub(" ", text).split()))
