"""Images of strangers: really decoded, and written anew as nothing but pixels (F5).

What is stored is never what was sent. A file's name and declared type decide nothing, and whatever hides beside the
pixels (where a photo was taken, comments, colour profiles, a script behind the last byte) is not written again.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

from PIL import Image, ImageFile, ImageOps

MOST_IMAGES = 3
MOST_BYTES = 5 * 1024 * 1024
MOST_PIXELS = 25_000_000
LONGEST_SIDE = 4096
# What is written anew may take more room than what was sent: three megabytes of noise in black and white became forty.
MOST_STORED = 2 * MOST_BYTES

Format = Literal["PNG", "JPEG", "WEBP"]
MEDIA_TYPES: dict[Format, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
QUALITY: dict[Format, dict[str, Any]] = {"PNG": {}, "JPEG": {"quality": 88}, "WEBP": {"quality": 90}}
# How Pillow says that a file is broken; a test feeds it thousands of broken ones.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError,
          ZeroDivisionError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip

# Twice as many pixels as this are an error in Pillow, and more than this the warning that is made one here.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


class NotAnImage(ValueError):
    """Why a file is not taken, as the end of a sentence that begins with its name."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A checked image. `content` are the bytes of a file of `media_type`."""

    content: bytes
    media_type: str
    width: int
    height: int


def clean(data: bytes) -> Picture:
    """Decode a file and write its pixels anew, upright and at most `LONGEST_SIDE` pixels long and wide.

    Raises `NotAnImage`.
    """
    if not data:
        raise NotAnImage("is empty.")
    if len(data) > MOST_BYTES:
        raise NotAnImage(TOO_LARGE)
    opened = _open(data)
    try:
        still = _upright(opened)
    except BROKEN as error:
        raise NotAnImage("is damaged and can’t be opened.") from error
    return _written(still, _format(opened))


TOO_LARGE = f"is larger than {MOST_BYTES // 1024 // 1024} MB."


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read the header: format, size and number of frames. No pixel is decoded before they are known."""
    try:
        opened = Image.open(BytesIO(data), formats=list(MEDIA_TYPES))
        # A photo's JPEG may carry a preview as a second picture: the first is the photo.
        moves = opened.format != "MPO" and getattr(opened, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAnImage(_TOO_MANY) from error
    except BROKEN as error:
        raise NotAnImage("is not a PNG, JPEG or WebP image.") from error
    if opened.width * opened.height > MOST_PIXELS:
        raise NotAnImage(_TOO_MANY)
    if moves:
        raise NotAnImage("is animated: send a still picture.")
    return opened


_TOO_MANY = f"has more than {MOST_PIXELS // 1_000_000} million pixels: send a smaller one."


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    """The pixels alone, turned as the camera was held."""
    opened.load()
    turned = ImageOps.exif_transpose(opened)
    still = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    still.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    # Pillow writes comments and colour profiles again from here.
    still.info = {}
    return still


def _format(opened: ImageFile.ImageFile) -> Format:
    return "PNG" if opened.format == "PNG" else "WEBP" if opened.format == "WEBP" else "JPEG"


def _written(still: Image.Image, kind: Format) -> Picture:
    file = _file(still, kind)
    while file.tell() > MOST_STORED:
        still.thumbnail((still.width // 2 or 1, still.height // 2 or 1))
        file = _file(still, kind)
    return Picture(file.getvalue(), MEDIA_TYPES[kind], still.width, still.height)


def _file(still: Image.Image, kind: Format) -> BytesIO:
    file = BytesIO()
    still.save(file, kind, **QUALITY[kind])
    return file
