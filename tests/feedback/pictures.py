"""Files as customers and attackers send them, made of real bytes."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, PngImagePlugin

GPS_WORDS = b"52 deg 31 min Berlin"
COMMENT = b"taken by Alice at home"
SCRIPT = b"<html><script>alert(document.domain)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def drawn(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture whose left half differs from its right half, so that turning it shows."""
    image = Image.new(mode, (width, height), "blue")
    image.paste(Image.new(mode, (width // 2, height), "red"), (0, 0))
    return image


def file_of(image: Image.Image, kind: str, **how: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def png(width: int = 64, height: int = 48) -> bytes:
    return file_of(drawn(width, height), "PNG")


def heic(brand: bytes = b"heic") -> bytes:
    """The beginning of an iPhone's photo, which Pillow can't read."""
    return struct.pack(">I4s4sI8s", 24, b"ftyp", brand, 0, b"mif1heic") + bytes(200)


def webp() -> bytes:
    return file_of(drawn(), "WEBP", exif=exif(), xmp=b"<x:xmpmeta>" + COMMENT + b"</x:xmpmeta>")


def exif(orientation: int = 1) -> Image.Exif:
    """Metadata of a photo: place, orientation of the camera, and a comment."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = COMMENT.decode()
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 27: GPS_WORDS})
    return tags


def photo(orientation: int = 1) -> bytes:
    """A JPEG as a telephone writes it: with GPS, a comment, XMP and a colour profile."""
    profile = b"a colour profile that names its monitor"
    xmp = b"<x:xmpmeta>" + COMMENT + b"</x:xmpmeta>"
    return file_of(drawn(), "JPEG", exif=exif(orientation), comment=COMMENT, icc_profile=profile, xmp=xmp)


def talkative_png() -> bytes:
    """A PNG with texts and a profile beside its pixels."""
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", COMMENT.decode())
    words.add_itxt("XML:com.adobe.xmp", COMMENT.decode(), zip=False)
    return file_of(drawn(), "PNG", pnginfo=words, exif=exif(), icc_profile=COMMENT)


def polyglot() -> bytes:
    """A PNG that is also a web page, in a comment and behind its end."""
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", SCRIPT.decode())
    return file_of(drawn(), "PNG", pnginfo=words) + SCRIPT


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of few bytes whose header declares an enormous size."""
    row = b"\0" + b"\0" * (width // 8 + 1)
    return _png_of(struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0), [row] * min(height, 1000))


def deep_png(width: int, height: int) -> bytes:
    """A PNG of few bytes that has all its pixels, of eight bytes each."""
    row = b"\0" + b"\x7f" * width * 8
    return _png_of(struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0), [row] * height)


def _png_of(header: bytes, rows: list[bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    packed = b"".join([*map(packer.compress, rows), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def moving(kind: str) -> bytes:
    frames = [drawn(), drawn().rotate(180)]
    return file_of(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def large(size: int) -> bytes:
    """A real PNG, padded behind its end to exactly this many bytes."""
    start = png()
    return start + b"\0" * (size - len(start))


def many_scans(scans: int, width: int = 64, height: int = 64) -> bytes:
    """A progressive JPEG of one grey colour with many empty scans of ten bytes."""

    def segment(kind: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data

    one_code = bytes([1, *[0] * 15])
    header = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    tables = segment(0xC4, b"\x00" + one_code + b"\x00") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    first = segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + b"\0" * (-(-width // 8) * -(-height // 8) // 8 + 1)
    again = segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") * (scans - 1)
    return (
        b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, header) + tables + first + again + b"\xff\xd9"
    )


def wordy_png(texts: int) -> bytes:
    """A PNG of few bytes with texts that unpack to four megabytes each."""
    packed = zlib.compress(b"a" * (1024 * 1024 - 4) + "\N{GRINNING FACE}".encode(), 9)
    chunks = [b"iTXt" + b"text %d\0\1\0\0\0" % number + packed for number in range(texts)]
    written = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    whole = png()
    # Behind the signature and the header.
    return whole[:33] + written + whole[33:]
