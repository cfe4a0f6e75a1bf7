"""What customers fill in to report something."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from feedback import images
from feedback.drafts import Named
from feedback.images import MOST_BYTES, MOST_IMAGES, NotAnImage
from feedback.models import TEXT_LENGTH, TITLE_LENGTH, Report, ReportImage

UNSPEAKABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# A page of ours: a path, and neither another site nor what an address carries behind it.
PATH = re.compile(r"/(?!/)[\w/.~-]{0,199}", re.ASCII)


class LineField(forms.CharField):
    def to_python(self, value: Any) -> str:
        """One line of words, whatever was pasted."""
        return " ".join(UNSPEAKABLE.sub(" ", super().to_python(value) or "").split())


class TextField(forms.CharField):
    def to_python(self, value: Any) -> str:
        """Browsers send two characters for the end of a line, and people count one."""
        lines = (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")
        return UNSPEAKABLE.sub("", lines).strip()


class FilesInput(forms.FileInput):
    allow_multiple_selected = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[UploadedFile[bytes]]:
        """All that were chosen; a browser sends a nameless empty file for none."""
        return list(files.getlist(name)) if isinstance(files, MultiValueDict) else []


class FilesField(forms.Field):
    widget = FilesInput


class ReportForm(forms.Form):
    """A report of one kind. `token` is the form's own name, so that sending it twice is one report."""

    title = LineField(error_messages={"required": "Write a title: one line that says what it is about."})
    description = TextField(widget=forms.Textarea(attrs={"rows": 8}))
    priority = forms.ChoiceField(
        choices=Report.Priority.choices,
        widget=forms.RadioSelect,
        initial=Report.Priority.MEDIUM,
        error_messages={"required": "Choose a priority.", "invalid_choice": "Choose Low, Medium or High."},
    )
    images = FilesField(required=False, widget=FilesInput(attrs={"accept": ", ".join(images.MEDIA_TYPES.values())}))
    app_version = LineField(label="Sidekick app version", required=False)
    page = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        kind: Report.Kind,
        data: QueryDict | None = None,
        files: MultiValueDict[str, UploadedFile[bytes]] | None = None,
        *,
        page: str = "",
    ) -> None:
        super().__init__(data, files, initial={"page": page}, auto_id="report_%s")
        self.kind = kind
        self.token = _uuid_of(data.get("token") if data else None) or uuid.uuid4()
        # Ticked images of this form's last try, images that were checked just now, and what is kept after this try.
        self.ticked = _uuids_of(data.getlist("keep")) if data else []
        self.added: list[Named] = []
        self.kept: list[ReportImage] = []
        self.fields["description"].error_messages["required"] = kind.wording.missing
        for name, limit in LIMITS.items():
            self.fields[name].widget.attrs["data-limit"] = limit
        self.fields["images"].widget.attrs |= {"data-most": MOST_IMAGES, "data-most-bytes": MOST_BYTES}

    def clean_title(self) -> str:
        return self._within("title")

    def clean_description(self) -> str:
        return self._within("description")

    def clean_app_version(self) -> str:
        return self._within("app_version")

    def clean_page(self) -> str:
        """The browser sends it back; what is no path of ours is left out rather than refused."""
        return path_or_nothing(self.cleaned_data["page"])

    def clean_images(self) -> None:
        """Good ones are held on to, whatever is wrong with the others or with the rest of the form."""
        room = MOST_IMAGES - len(self.ticked)
        wrong = []
        for upload in self.cleaned_data["images"]:
            try:
                self.added.append((_name_of(upload), _picture_of(upload, room - len(self.added))))
            except NotAnImage as error:
                wrong.append(f"{_name_of(upload)} {error}")
        if wrong:
            raise forms.ValidationError(wrong)

    def _within(self, name: str) -> str:
        """A browser that kept to a limit by itself would silently cut off what is pasted."""
        text: str = self.cleaned_data[name]
        if len(text) > LIMITS[name]:
            raise forms.ValidationError(f"Use at most {LIMITS[name]:,} characters; these are {len(text):,}.")
        return text


LIMITS = {"title": TITLE_LENGTH, "description": TEXT_LENGTH, "app_version": 40}


def path_or_nothing(path: str) -> str:
    return path if PATH.fullmatch(path) else ""


def _picture_of(upload: UploadedFile[bytes], room: int) -> images.Picture:
    size = upload.size or 0
    if size > MOST_BYTES:
        raise NotAnImage(images.TOO_LARGE)
    content = upload.read()
    # Of more files than a report takes only the sizes are known.
    if room <= 0 or len(content) < size:
        raise NotAnImage(f"was left out: {MOST_IMAGES} images are the most.")
    return images.clean(content)


def _name_of(upload: UploadedFile[bytes]) -> str:
    return " ".join(UNSPEAKABLE.sub(" ", upload.name or "").split())[:100] or "A file without a name"


def _uuid_of(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def _uuids_of(texts: list[str]) -> list[uuid.UUID]:
    """As many as a form can have ticked."""
    return list(dict.fromkeys(found for text in texts if (found := _uuid_of(text))))[:MOST_IMAGES]
