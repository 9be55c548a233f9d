"""Sizes from headers alone, for every format, against what a decoder gives; and for files that lie."""

import io
import struct
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from protores.data.container import Damaged
from protores.data.dimensions import MOST_SCANS, pixel_count
from protores.data.image import ENDINGS, decode_image

HEIGHT, WIDTH = 37, 53
COLOUR = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GRAY = COLOUR[..., 0]


def encoded(ending: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(ending, image, options)[1].tobytes()


def tiff(image: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


FILES = {
    **{f"{ending} colour": encoded(ending, COLOUR) for ending in sorted(ENDINGS - {".pgm"})},
    **{f"{ending} gray": encoded(ending, GRAY) for ending in sorted(ENDINGS - {".ppm"})},
    "16 bit png": encoded(".png", COLOUR.astype(np.uint16) * 257),
    "progressive jpeg": encoded(".jpg", COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "lossless webp": encoded(".webp", COLOUR, cv2.IMWRITE_WEBP_QUALITY, 101),
    "webp with alpha": encoded(".webp", np.dstack([COLOUR, GRAY])),
    "ascii pgm": encoded(".pgm", GRAY, cv2.IMWRITE_PXM_BINARY, 0),
    "pgm with comments": b"P5\n# made by\n# a camera\n53 # columns\n37\n255\n" + GRAY.tobytes(),
    "big tiff": tiff(COLOUR, photometric="rgb", bigtiff=True, byteorder=">"),
    "planar tiff": tiff(np.moveaxis(COLOUR, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
    "os/2 bmp": b"BM" + struct.pack("<IHHIIHHHH", 26 + 160 * HEIGHT, 0, 0, 26, 12, WIDTH, HEIGHT, 1, 24)
    + bytes(160 * HEIGHT),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_count_is_what_a_decoder_gives(name: str):
    assert pixel_count(FILES[name]) == HEIGHT * WIDTH
    assert decode_image(FILES[name], name).pixels.shape[:2] == (HEIGHT, WIDTH)


def test_tiles_count_whole():
    assert pixel_count(tiff(GRAY, tile=(64, 128))) == 64 * 128


def test_samples_beyond_rgba_count_too():
    assert pixel_count(tiff(np.zeros((HEIGHT, WIDTH, 9), np.uint8), photometric="rgb")) == 3 * HEIGHT * WIDTH


def png_of(width: int, height: int) -> bytes:
    """A PNG file of a few hundred bytes that is as large as it says."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BOMBS = {
    "png": png_of(100_000, 100_000),
    "jpeg": FILES[".jpg gray"].replace(struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 60_000, 65_000), 1),
    "bmp": b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 100_000, -100_000, 1, 1, 1) + bytes(24),
    "webp canvas": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\0" * 2,
    "webp lossy": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8 " + struct.pack("<I", 10) + bytes(6) + b"\xff\x3f" * 2,
    "webp lossless": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8L" + struct.pack("<I", 5) + b"\x2f\xff\xff\xff\x0f",
    "pgm": b"P5 100000 100000 255 ",
    "ppm": b"P6\n99999 99999\n255\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_counted_without_unpacking(name: str):
    assert pixel_count(BOMBS[name]) > 200_000_000


def test_a_tiff_bomb_is_counted_too():
    file = bytearray(tiff(np.zeros((16, 16), np.uint8)))
    with tifffile.TiffFile(io.BytesIO(bytes(file))) as opened:
        offsets = [opened.pages.first.tags[code].valueoffset for code in (256, 257)]
    for offset in offsets:
        struct.pack_into("<H", file, offset, 60_000)
    assert pixel_count(bytes(file)) == 60_000**2


def test_a_jpeg_that_asks_for_endless_passes_is_refused():
    whole = FILES["progressive jpeg"]
    start = whole.index(b"\xff\xda")
    (length,) = struct.unpack_from(">H", whole, start + 2)
    with pytest.raises(Damaged, match="scans"):
        pixel_count(whole[:-2] + whole[start : start + 2 + length] * MOST_SCANS + b"\xff\xd9")


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"GIF89a" + bytes(40), b"not an image", b"P7\nWIDTH 4\n"])
def test_what_is_no_image_is_damaged(data: bytes):
    with pytest.raises(Damaged):
        pixel_count(data)


@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_header_that_is_cut_off_is_damaged_or_counts_the_same(name: str, data: st.DataObject):
    whole = FILES[name]
    cut = whole[: data.draw(st.integers(0, min(len(whole), 400)))]
    with suppress(Damaged):
        assert pixel_count(cut) == HEIGHT * WIDTH


@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8))
def test_whatever_a_header_says_it_is_a_number_or_damaged(name: str, changes: list[tuple[int, int]]):
    file = bytearray(FILES[name])
    for at, value in changes:
        file[at % len(file)] = value
    with suppress(Damaged):
        assert pixel_count(bytes(file)) >= 0
