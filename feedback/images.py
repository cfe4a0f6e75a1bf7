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

from PIL import Image, ImageFile, ImageOps, PngImagePlugin

MOST_IMAGES = 3
MOST_BYTES = 5 * 1024 * 1024
LONGEST_SIDE = 4096
TILE = 1024
# What is written anew may take more room than what was sent: three megabytes of noise in black and white became forty.
MOST_STORED = 2 * MOST_BYTES

Format = Literal["PNG", "JPEG", "WEBP"]
MEDIA_TYPES: dict[Format, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# What takes about 200 MB, at worst, to read and write anew: for WebP 25 bytes a pixel.
MOST_PIXELS: dict[Format, int] = {"PNG": 25_000_000, "JPEG": 25_000_000, "WEBP": 8_300_000}
# A progressive JPEG comes in some ten scans. One of ten bytes costs two milliseconds, and five megabytes of them 18
# minutes; by chance five megabytes of metadata hold eighty.
SCAN, MOST_SCANS = b"\xff\xda", 200
QUALITY: dict[Format, dict[str, Any]] = {"PNG": {}, "JPEG": {"quality": 88}, "WEBP": {"quality": 90}}
# How Pillow says that a file is broken; a test feeds it thousands of broken ones.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError,
          ZeroDivisionError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip

# Twice as many pixels as this are an error in Pillow, and more than this the warning that is made one here.
Image.MAX_IMAGE_PIXELS = max(MOST_PIXELS.values())
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Characters of all texts beside the pixels, of up to four bytes each: packed, 64 million fit into a small file.
PngImagePlugin.MAX_TEXT_MEMORY = 2 * 1024 * 1024


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
    """Decode a file and write its pixels anew, upright; one longer or wider than `LONGEST_SIDE` pixels is halved, or
    more. Raises `NotAnImage`.
    """
    if not data:
        raise NotAnImage("is empty.")
    if len(data) > MOST_BYTES:
        raise NotAnImage(TOO_LARGE)
    kind, still = _still(data)
    return _written(still, kind)


TOO_LARGE = f"is larger than {MOST_BYTES // 1024 // 1024} MB."


def _still(data: bytes) -> tuple[Format, Image.Image]:
    """The format and the pixels. What decoded them ends here: it holds their room several times over."""
    opened = _open(data)
    try:
        return _format(opened), _upright(opened)
    except BROKEN as error:
        raise NotAnImage("is damaged and can’t be opened.") from error


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read the header: format, size and number of frames. No pixel is decoded before they are known."""
    try:
        opened = Image.open(BytesIO(data), formats=list(MEDIA_TYPES))
        # A photo's JPEG may carry a preview as a second picture: the first is the photo.
        moves = opened.format != "MPO" and getattr(opened, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NotAnImage(_too_many(max(MOST_PIXELS.values()))) from error
    except BROKEN as error:
        raise NotAnImage("is not a PNG, JPEG or WebP image.") from error
    most = MOST_PIXELS[_format(opened)]
    if opened.width * opened.height > most:
        raise NotAnImage(_too_many(most))
    if moves:
        raise NotAnImage("is animated: send a still picture.")
    if _format(opened) == "JPEG" and data.count(SCAN) > MOST_SCANS:
        raise NotAnImage("is damaged and can’t be opened.")
    return opened


def _too_many(most: int) -> str:
    return f"has more than {most // 1_000_000} million pixels: crop it or scale it down, then choose it again."


def _format(opened: ImageFile.ImageFile) -> Format:
    return "PNG" if opened.format == "PNG" else "WEBP" if opened.format == "WEBP" else "JPEG"


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    """The pixels alone, turned as the camera was held."""
    factor = _too_long_by(opened)
    # JPEG is decoded at half its size or less at once, where that is enough.
    opened.draft(None, (opened.width // factor or 1, opened.height // factor or 1))
    opened.load()
    still = _reduced(opened, _too_long_by(opened), "RGBA" if opened.has_transparency_data else "RGB")
    still.info = opened.info
    ImageOps.exif_transpose(still, in_place=True)
    # Pillow writes comments and colour profiles again from here.
    still.info = {}
    return still


def _too_long_by(image: Image.Image) -> int:
    return -(-max(image.size) // LONGEST_SIDE)


def _reduced(image: Image.Image, factor: int, mode: str) -> Image.Image:
    """So many pixels by so many become one. Tile by tile: each step between would take the room of a whole image."""
    done = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    side = TILE // factor * factor or factor
    for left in range(0, image.width, side):
        for top in range(0, image.height, side):
            tile = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
            done.paste(tile.convert(mode).reduce(factor), (left // factor, top // factor))
    return done


def _written(still: Image.Image, kind: Format) -> Picture:
    content = _file(still, kind)
    while len(content) > MOST_STORED:
        still = _reduced(still, 2, still.mode)
        content = _file(still, kind)
    return Picture(content, MEDIA_TYPES[kind], still.width, still.height)


def _file(still: Image.Image, kind: Format) -> bytes:
    file = BytesIO()
    still.save(file, kind, **QUALITY[kind])
    return file.getvalue()
