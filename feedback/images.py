"""Images from customers, decoded and written again as pixels alone (F5).

The file that was sent is never stored: it may hide where a photo was taken, a comment or a script behind its last byte.
"""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import Any, Literal

from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from sidekick.serving.shares import Share

MOST_IMAGES = 3
MOST_BYTES = 5 * 1024 * 1024
LONGEST_SIDE = 4096
TILE = 1024
# An image written again may be larger than the file that was sent: 3 MB of black and white noise became 40 MB.
MOST_STORED = 2 * MOST_BYTES

Format = Literal["PNG", "JPEG", "WEBP"]
MEDIA_TYPES: dict[Format, str] = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
# Decoding and writing this many pixels takes about 200 MB at worst; WebP needs 25 bytes a pixel.
MOST_PIXELS: dict[Format, int] = {"PNG": 25_000_000, "JPEG": 25_000_000, "WEBP": 8_300_000}
# A progressive JPEG has about ten scans, and 5 MB of metadata contain the marker eighty times by chance. A scan of ten
# bytes costs 2 ms to decode, so a file of 5 MB made of them would take 18 minutes.
SCAN, MOST_SCANS = b"\xff\xda", 200
QUALITY: dict[Format, dict[str, Any]] = {"PNG": {}, "JPEG": {"quality": 88}, "WEBP": {"quality": 90}}
# Pillow raises all of these for broken files; a test feeds it thousands of them.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, OverflowError,
          ZeroDivisionError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip

# Pillow raises an error at twice this number of pixels, and only warns above it: the warning becomes an error, too.
Image.MAX_IMAGE_PIXELS = max(MOST_PIXELS.values())
warnings.simplefilter("error", Image.DecompressionBombWarning)
# In characters of up to four bytes. Pillow's default of 64 million fits into a small file, compressed.
PngImagePlugin.MAX_TEXT_MEMORY = 2 * 1024 * 1024

# The first bytes of what is taken, and of iPhones' photos behind their fourth byte.
BEGINNINGS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
HEIC_BRANDS = re.compile(rb"ftyp(hei[cxms]|hev[cxms]|mif1|msf1)")
HEIC_NAMES = re.compile(r".*\.(heic|heif|hif)", re.IGNORECASE | re.DOTALL)
HEIC_TYPES = re.compile(r"image/hei[cf](-sequence)?", re.IGNORECASE)

TOO_LARGE = f"is larger than {MOST_BYTES // 1024 // 1024} MB."
UNKNOWN = "is not a PNG, JPEG or WebP image."
DAMAGED = "is damaged and can’t be opened."
LEFT_OUT = f"was left out: {MOST_IMAGES} images are the most."
HEIC = (
    "is a HEIC photo, which we can’t read. Save it as JPEG and choose that: on a Mac by File › Export in Photos, on "
    "Windows by Save as in Photos. An iPhone takes JPEG with Settings › Camera › Formats › Most Compatible."
)
# The refusals that a browser can tell of before anything is sent, by the names that `images.js` has for them.
TOLD_AT_ONCE = {"heic": HEIC, "unknown": UNKNOWN, "large": TOO_LARGE, "full": LEFT_OUT, "unreadable": "can’t be read."}


BUSY = "can’t be checked right now, as many images are waiting for that. Choose it again in a minute."

# In each process, whatever its threads: their memory would add up.
_one_at_a_time = Lock()
# The worst image takes some three seconds: the threads that wait for their turn must not be all that serve pages.
_decoding = Share(one_in=2)


class ImageRefused(ValueError):
    """The message is the end of a sentence that begins with the file's name."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A checked image. `content` are the bytes of a file of `media_type`."""

    content: bytes
    media_type: str
    width: int
    height: int


# The name of the customer's file, and its image.
NamedPicture = tuple[str, Picture]


def clean(data: bytes) -> Picture:
    """Decode a PNG, JPEG or WebP file of at most `MOST_BYTES`, and write its pixels again, upright.

    An image longer or wider than `LONGEST_SIDE` pixels is scaled down to a half, a third and so on.
    Raises `ImageRefused`.
    """
    if not data:
        raise ImageRefused("is empty.")
    if len(data) > MOST_BYTES:
        raise ImageRefused(TOO_LARGE)
    with _decoding.place() as taken:
        if not taken:
            raise ImageRefused(BUSY)
        with _one_at_a_time:
            file_format, pixels = _decode(data)
            return _encode(pixels, file_format)


def is_heic(data: bytes, name: str, media_type: str) -> bool:
    """Whether it is an iPhone's photo: by its first bytes, or by name or type where those are no image's."""
    if HEIC_BRANDS.match(data, 4):
        return True
    is_called = HEIC_NAMES.fullmatch(name) or HEIC_TYPES.fullmatch(media_type)
    # Programs that turn such a photo into a JPEG often leave its name.
    return bool(is_called) and not data.startswith(BEGINNINGS)


def _decode(data: bytes) -> tuple[Format, Image.Image]:
    # Pillow's decoder holds the memory of the pixels several times over; it is freed when this function returns.
    opened = _open(data)
    try:
        return _format(opened), _upright(opened)
    except BROKEN as error:
        raise ImageRefused(DAMAGED) from error


def _open(data: bytes) -> ImageFile.ImageFile:
    """Read the header, and refuse a file by its format, size or number of frames before any pixel is decoded."""
    try:
        opened = Image.open(BytesIO(data), formats=list(MEDIA_TYPES))
        # MPO is a JPEG with a preview as a second picture; the first is the photo.
        is_animated = opened.format != "MPO" and getattr(opened, "is_animated", False)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefused(_too_many(max(MOST_PIXELS.values()))) from error
    except BROKEN as error:
        raise ImageRefused(UNKNOWN) from error
    most = MOST_PIXELS[_format(opened)]
    if opened.width * opened.height > most:
        raise ImageRefused(_too_many(most))
    if is_animated:
        raise ImageRefused("is animated: send a still picture.")
    if _format(opened) == "JPEG" and data.count(SCAN) > MOST_SCANS:
        raise ImageRefused(DAMAGED)
    return opened


def _too_many(most: int) -> str:
    return f"has more than {most // 1_000_000} million pixels: crop it or scale it down, then choose it again."


def _format(opened: ImageFile.ImageFile) -> Format:
    return "PNG" if opened.format == "PNG" else "WEBP" if opened.format == "WEBP" else "JPEG"


def _upright(opened: ImageFile.ImageFile) -> Image.Image:
    """The pixels alone, turned the way the camera was held."""
    factor = _too_long_by(opened)
    # Only JPEG heeds this: it is decoded at half its size or less straight away.
    opened.draft(None, (opened.width // factor or 1, opened.height // factor or 1))
    opened.load()
    pixels = _reduced(opened, _too_long_by(opened), "RGBA" if opened.has_transparency_data else "RGB")
    pixels.info = opened.info
    ImageOps.exif_transpose(pixels, in_place=True)
    # Pillow would write comments and colour profiles again from here.
    pixels.info = {}
    return pixels


def _too_long_by(image: Image.Image) -> int:
    return -(-max(image.size) // LONGEST_SIDE)


def _reduced(image: Image.Image, factor: int, mode: str) -> Image.Image:
    """Make one pixel of each square of `factor` by `factor`."""
    # Tile by tile, because each step between takes the memory of what it works on.
    smaller = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    side = TILE // factor * factor or factor
    for left in range(0, image.width, side):
        for top in range(0, image.height, side):
            tile = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
            smaller.paste(tile.convert(mode).reduce(factor), (left // factor, top // factor))
    return smaller


def _encode(pixels: Image.Image, file_format: Format) -> Picture:
    content = _saved(pixels, file_format)
    while len(content) > MOST_STORED:
        pixels = _reduced(pixels, 2, pixels.mode)
        content = _saved(pixels, file_format)
    return Picture(content, MEDIA_TYPES[file_format], pixels.width, pixels.height)


def _saved(pixels: Image.Image, file_format: Format) -> bytes:
    file = BytesIO()
    pixels.save(file, file_format, **QUALITY[file_format])
    return file.getvalue()
