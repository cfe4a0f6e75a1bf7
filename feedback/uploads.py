"""Limits the memory that an upload takes. No other form of the project takes files, so it is installed for all."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from feedback.images import MOST_BYTES, MOST_IMAGES

# Nobody sends more by mistake. Three photos from a good camera fit, and the form can say that they are too large.
MOST_OF_A_BODY = 64 * 1024 * 1024


class BoundedUpload(FileUploadHandler):
    """Holds as many files as a report takes, none larger than it takes; of any other file only the size is known.

    Nothing is written to disk. A body larger than `MOST_OF_A_BODY` is refused unread, by `RequestDataTooBig`.
    """

    def __init__(self, request: Any = None) -> None:
        super().__init__(request)
        self.room = MOST_IMAGES
        self.held = BytesIO()

    def handle_raw_input(
        self,
        input_data: Any,
        meta: Any,
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        if content_length > MOST_OF_A_BODY:
            raise RequestDataTooBig("An upload is too large.")

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.held = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self.room == 0 or start + len(raw_data) > MOST_BYTES:
            self.held = BytesIO()
        # After a chunk was dropped, the rest of the file is dropped, too.
        elif self.held.tell() == start:
            self.held.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile[bytes]:
        if self.held.tell():
            self.room -= 1
        self.held.seek(0)
        return InMemoryUploadedFile(
            self.held, self.field_name, self.file_name or "", self.content_type or "", file_size, self.charset
        )
