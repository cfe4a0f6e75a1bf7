"""Files of strangers as images: what is refused, and what is stored of the others."""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from io import BytesIO

import pytest
from PIL import Image
from pytest_django import Settings

from feedback import images
from feedback.images import MOST_BYTES, ImageRefused
from sidekick.serving import shares
from tests.feedback import pictures
from tests.feedback.pictures import COMMENT, GPS_WORDS, SCRIPT, drawn, file_of

HIDDEN = [COMMENT, GPS_WORDS, b"Exif", b"GPS", b"ICC", b"iCCP", b"xmp", b"adobe", b"tEXt", b"iTXt", b"eXIf", b"<script"]


SMALLER = "crop it or scale it down, then choose it again."
# Cleans a file from its standard input; says by how many megabytes the process grew at most.
MEASURED = """
import re, sys
from feedback import images

def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024

sent, before = sys.stdin.buffer.read(), most()
images.clean(sent)
print(most() - before)
"""


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize(
    ("sent", "media_type"),
    [(pictures.photo(), "image/jpeg"), (pictures.talkative_png(), "image/png"), (pictures.webp(), "image/webp")],
    ids=["jpeg", "png", "webp"],
)
def test_nothing_but_pixels_is_kept(sent: bytes, media_type: str) -> None:  # F5
    assert COMMENT in sent
    picture = images.clean(sent)
    assert picture.media_type == media_type
    assert [words for words in HIDDEN if words.lower() in picture.content.lower()] == []
    assert dict(opened(picture.content).getexif()) == {}
    assert (picture.width, picture.height) == opened(picture.content).size == (64, 48)


def test_a_page_that_is_also_an_image_is_only_an_image_afterwards() -> None:  # F5
    sent = pictures.polyglot()
    assert sent.count(SCRIPT) == 2
    assert b"script" not in images.clean(sent).content


@pytest.mark.parametrize(
    ("orientation", "size", "first"),
    [(1, (64, 48), "red"), (3, (64, 48), "blue"), (6, (48, 64), "red"), (8, (48, 64), "blue")],
)
def test_a_photo_stands_upright_without_what_said_how_it_was_held(
    orientation: int, size: tuple[int, int], first: str
) -> None:  # F5
    picture = images.clean(pictures.photo(orientation))
    assert (picture.width, picture.height) == size
    red, _, blue = opened(picture.content).convert("RGB").getpixel((4, 4))  # type: ignore[misc]
    assert (red > blue) == (first == "red")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_taken(mode: str) -> None:
    image = Image.new(mode, (10, 10))
    assert images.clean(file_of(image, "PNG")).media_type == "image/png"


def test_what_is_transparent_stays_so() -> None:
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    assert opened(images.clean(file_of(clear, "PNG")).content).getpixel((5, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_photos_of_printers_are_taken(mode: str) -> None:
    assert images.clean(file_of(Image.new(mode, (10, 10)), "JPEG")).media_type == "image/jpeg"


def test_a_photo_with_a_preview_beside_it_is_the_photo() -> None:
    both = file_of(drawn(80, 60), "MPO", save_all=True, append_images=[drawn(8, 6)])
    picture = images.clean(both)
    assert (picture.media_type, picture.width, picture.height) == ("image/jpeg", 80, 60)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_long_side_is_halved_and_the_picture_stays_the_same(kind: str) -> None:
    picture = images.clean(file_of(drawn(6001, 303), kind))
    assert (picture.width, picture.height) == (3001, 152)
    still = opened(picture.content).convert("RGB")
    for x, colour in ((0, "red"), (1480, "red"), (1520, "blue"), (3000, "blue")):
        red, _, blue = still.getpixel((x, 151))  # type: ignore[misc]
        assert (red > 200 > 60 > blue) == (colour == "red")
        assert (blue > 200 > 60 > red) == (colour == "blue")


def test_a_long_photo_stands_upright_too() -> None:
    picture = images.clean(file_of(drawn(5000, 400), "JPEG", exif=pictures.exif(6)))
    assert (picture.width, picture.height) == (200, 2500)


def test_a_line_of_a_million_pixels_is_a_short_line() -> None:
    picture = images.clean(file_of(Image.new("RGBA", (1_000_000, 1), (0, 0, 0, 0)), "PNG"))
    assert (picture.width, picture.height) == (4082, 1)


@pytest.mark.parametrize("sent", ["png", "jpeg", "webp"])
def test_the_largest_that_is_taken_needs_little_memory(sent: str) -> None:  # F5
    """Sixteen bits a colour, and a JPEG that is complete only at its end, once took 525 to 716 MB."""
    largest = {
        "png": lambda: pictures.deep_png(5000, 5000),
        "jpeg": lambda: file_of(drawn(5000, 5000), "JPEG", progressive=True, subsampling=0, exif=pictures.exif(6)),
        "webp": lambda: file_of(drawn(3840, 2160, "RGBA"), "WEBP", exif=pictures.exif(6)),
    }[sent]()
    ran = subprocess.run([sys.executable, "-c", MEASURED], input=largest, capture_output=True, check=True)
    assert int(ran.stdout) < 200


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"", "is empty."),
        (b"#!/bin/sh\nrm -rf ~\n", "is not a PNG, JPEG or WebP image."),
        (pictures.SVG, "is not a PNG, JPEG or WebP image."),
        (pictures.SCRIPT, "is not a PNG, JPEG or WebP image."),
        (file_of(drawn(), "GIF"), "is not a PNG, JPEG or WebP image."),
        (file_of(drawn(), "BMP"), "is not a PNG, JPEG or WebP image."),
        (file_of(drawn(), "TIFF"), "is not a PNG, JPEG or WebP image."),
        (file_of(drawn(), "PDF"), "is not a PNG, JPEG or WebP image."),
        (pictures.png()[:8], "is not a PNG, JPEG or WebP image."),
        (pictures.png(900, 700)[:900], "is damaged and can’t be opened."),
        (pictures.photo()[:-30], "is damaged and can’t be opened."),
        (pictures.bomb(), f"has more than 25 million pixels: {SMALLER}"),
        (pictures.bomb(6000, 5000), f"has more than 25 million pixels: {SMALLER}"),
        (file_of(Image.new("1", (5001, 5000)), "PNG"), f"has more than 25 million pixels: {SMALLER}"),
        (file_of(Image.new("L", (3841, 2161)), "WEBP"), f"has more than 8 million pixels: {SMALLER}"),
        (pictures.many_scans(201), "is damaged and can’t be opened."),
        (pictures.wordy_png(3), "is not a PNG, JPEG or WebP image."),
        (pictures.moving("PNG"), "is animated: send a still picture."),
        (pictures.moving("WEBP"), "is animated: send a still picture."),
        (pictures.large(MOST_BYTES + 1), "is larger than 5 MB."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_taken_is_told_in_a_sentence(sent: bytes, sentence: str) -> None:  # F5
    with pytest.raises(ImageRefused, match=sentence.replace("(", r"\(")):
        images.clean(sent)


def test_a_bomb_is_refused_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:  # F5
    from PIL import ImageFile

    def explode(*args: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", explode)
    with pytest.raises(ImageRefused, match="million pixels"):
        images.clean(file_of(Image.new("1", (6000, 5000)), "PNG"))


def test_just_five_megabytes_are_taken() -> None:
    assert images.clean(pictures.large(MOST_BYTES)).width == 64


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("sent", [pictures.photo(), pictures.talkative_png(), pictures.webp()], ids=["j", "p", "w"])
def test_a_broken_file_is_either_taken_or_told_of(sent: bytes) -> None:
    """Thousands of broken files raise nothing but `ImageRefused`."""
    dice = random.Random(7)
    outcomes: set[type] = set()
    for _ in range(1500):
        broken = bytearray(sent)
        for _ in range(dice.randrange(1, 12)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        if dice.random() < 0.3:
            del broken[dice.randrange(len(broken)) :]
        try:
            outcomes.add(type(images.clean(bytes(broken))))
        except ImageRefused:
            outcomes.add(ImageRefused)
    assert outcomes == {images.Picture, ImageRefused}


def test_half_of_the_pages_wait_for_images_and_the_rest_hear_so_at_once(settings: Settings) -> None:  # F5 O6
    """Sixteen reports of one customer, each with the slowest images there are, would keep every page waiting."""
    settings.WEB_THREADS = 4

    def outcome() -> str:
        try:
            return images.clean(pictures.photo()).media_type
        except ImageRefused as refused:
            return str(refused)

    with ThreadPoolExecutor(8, initializer=shares.enter_thread) as pages:
        with images._one_at_a_time:
            sent = [pages.submit(outcome) for _ in range(8)]
            first = as_completed(sent, timeout=15)
            assert [next(first).result() for _ in range(6)] == [images.BUSY] * 6
        assert [found.result() for found in first] == ["image/jpeg"] * 2
    assert images.clean(pictures.photo())


def test_what_is_stored_stays_near_the_size_of_what_may_be_sent() -> None:  # F5
    """Black and white noise grows when it is written again in colour: 3 MB became 40 MB."""
    noise = Image.frombytes("1", (5000, 5000), random.Random(7).randbytes(625 * 5000))
    file = BytesIO()
    noise.save(file, "PNG")
    assert file.tell() < images.MOST_BYTES
    assert len(images.clean(file.getvalue()).content) <= images.MOST_STORED


def test_a_photo_in_many_scans_and_a_picture_with_words_are_taken() -> None:
    assert images.clean(pictures.many_scans(200)).media_type == "image/jpeg"
    assert images.clean(pictures.wordy_png(1)).media_type == "image/png"
