"""The form in which customers report something."""

from __future__ import annotations

import re
import uuid

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from feedback import images
from feedback.fields import FilesField, FilesInput, LineField, TextField, one_line
from feedback.images import MOST_BYTES, MOST_IMAGES, ImageRefused, NamedPicture, Picture
from feedback.models import TEXT_LENGTH, TITLE_LENGTH, Report, ReportImage

# A path on this site: not another site's address, and without a query, which may hold something private.
PATH = re.compile(r"/(?!/)[\w/.~-]{0,199}", re.ASCII)
LIMITS = {"title": TITLE_LENGTH, "description": TEXT_LENGTH, "app_version": 40}


class ReportForm(forms.Form):
    """A report of one kind. Its `token` names the form, so that sending it twice is one report."""

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
        words: dict[str, str] | None = None,
    ) -> None:
        super().__init__(data, files, initial={"page": page, **(words or {})}, auto_id="report_%s")
        # Words that a POST without a session had, once its author is back.
        self.words = words
        self.kind = kind
        self.token = _uuid_in(data.get("token") if data else None) or uuid.uuid4()
        # Ticked images of this form's last try, images that were checked just now, and what is kept after this try.
        self.ticked = _uuids_in(data.getlist("keep")) if data else []
        self.added: list[NamedPicture] = []
        self.kept: list[ReportImage] = []
        self.fields["description"].error_messages["required"] = kind.wording.missing
        # The script counts characters by these. A `maxlength` would silently cut off what is pasted.
        for name, limit in LIMITS.items():
            self.fields[name].widget.attrs["data-limit"] = limit
        self.fields["images"].widget.attrs |= {"data-most": MOST_IMAGES, "data-most-bytes": MOST_BYTES}

    def clean_title(self) -> str:
        return self._within_limit("title")

    def clean_description(self) -> str:
        return self._within_limit("description")

    def clean_app_version(self) -> str:
        return self._within_limit("app_version")

    def clean_page(self) -> str:
        # The browser sends it back and the customer never typed it, so a wrong one is dropped rather than refused.
        return path_or_nothing(self.cleaned_data["page"])

    def clean_images(self) -> None:
        """Good images go to `added`, whatever is wrong with the others or with the rest of the form."""
        room = MOST_IMAGES - len(self.ticked)
        wrong = []
        for upload in self.cleaned_data["images"]:
            try:
                picture = _picture_in(upload, room - len(self.added))
            except ImageRefused as refused:
                wrong.append(f"{_name_of(upload)} {refused}")
            else:
                self._add(_name_of(upload), picture)
        if wrong:
            raise forms.ValidationError(wrong)

    def _add(self, name: str, picture: Picture) -> None:
        # The same file twice is one image.
        if all(picture != other for _, other in self.added):
            self.added.append((name, picture))

    def _within_limit(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        if len(text) > LIMITS[name]:
            raise forms.ValidationError(f"Use at most {LIMITS[name]:,} characters; these are {len(text):,}.")
        return text


def path_or_nothing(path: str) -> str:
    return path if PATH.fullmatch(path) else ""


def _picture_in(upload: UploadedFile[bytes], room: int) -> images.Picture:
    size, content = upload.size or 0, upload.read()
    if images.is_heic(content, upload.name or "", upload.content_type or ""):
        raise ImageRefused(images.HEIC)
    if size > MOST_BYTES:
        raise ImageRefused(images.TOO_LARGE)
    # `BoundedUpload` holds no content of files beyond the most a report takes.
    if room <= 0 or len(content) < size:
        raise ImageRefused(images.LEFT_OUT)
    return images.clean(content)


def _name_of(upload: UploadedFile[bytes]) -> str:
    return one_line(upload.name or "")[:100] or "A file without a name"


def _uuid_in(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def _uuids_in(texts: list[str]) -> list[uuid.UUID]:
    """At most as many as one form can have ticked."""
    return list(dict.fromkeys(found for text in texts if (found := _uuid_in(text))))[:MOST_IMAGES]
