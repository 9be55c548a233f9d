"""How many pixels an image file unpacks to, by its header alone: a few kilobytes can hold billions.

What counts is what a decoder would set memory aside for, so of several sizes in a file the largest. Sources: PNG (W3C,
section 11.2.2), JPEG (ITU T.81, B.2.2), BMP (Microsoft's BITMAPCOREHEADER and BITMAPINFOHEADER), WebP (RFC 9649), TIFF
6.0, Netpbm's formats.
"""

import io
import re
import struct
from collections.abc import Iterator

from protores.data.container import JPEG, PNG, TIFF, Damaged

USUAL_CHANNELS = 4
"""A pixel with more samples counts as several."""
MOST_SCANS = 100
"""Passes over all pixels that a progressive JPEG may ask for; they have about ten."""


def pixel_count(data: bytes) -> int:
    """Pixels, height times width. Raises Damaged where the header is cut off, or of no image type that is read."""
    try:
        return max(height * width for height, width in _sizes(data))
    except Damaged:
        raise
    except (struct.error, ValueError) as error:
        raise Damaged("cut off: the file ends within its header") from error


def _sizes(data: bytes) -> Iterator[tuple[int, int]]:
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(JPEG):
        return _jpeg(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data.startswith(TIFF):
        return _tiff(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if _NETPBM.match(data):
        return _netpbm(data)
    raise Damaged("damaged, or not an image" if data.strip(b"\0") else "the file is empty")


def _png(data: bytes) -> Iterator[tuple[int, int]]:
    width, height = struct.unpack_from(">II", data, 16)
    yield height, width


def _jpeg(data: bytes) -> Iterator[tuple[int, int]]:
    scans, at = 0, 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _FRAMES:
            yield struct.unpack_from(">HH", data, at + 3)
        if marker == 0xDA and (scans := scans + 1) > MOST_SCANS:
            raise Damaged(f"a JPEG of more than {MOST_SCANS} scans")
        at += length


# A marker that carries a segment, or the end of image: not a stuffed 0xFF, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _bmp(data: bytes) -> Iterator[tuple[int, int]]:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    yield abs(height), abs(width)


def _webp(data: bytes) -> Iterator[tuple[int, int]]:
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + 16]
        if name == b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 6)
            yield height & 0x3FFF, width & 0x3FFF
        elif name == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            yield (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        elif name in (b"VP8X", b"ANMF"):
            start = 4 if name == b"VP8X" else 6
            yield _uint24(body, start + 3) + 1, _uint24(body, start) + 1
        at += 8 + length + length % 2


def _uint24(data: bytes, at: int) -> int:
    low, middle, high = data[at : at + 3]
    return low | middle << 8 | high << 16


def _tiff(data: bytes) -> Iterator[tuple[int, int]]:
    import tifffile  # 0.2 s to import, and few need it

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tags = file.pages.first.tags
            most = {name: max((int(tag.value) for tag in tags.values() if tag.code == code), default=1)
                    for name, code in _TIFF_TAGS.items()}  # fmt: skip
    except Exception as error:  # tifffile raises anything from KeyError to struct.error on broken files
        raise Damaged("cut off or damaged: its TIFF structure cannot be followed") from error
    deep = most["depth"] * max(1, -(-most["samples"] // USUAL_CHANNELS))
    yield most["height"] * deep, most["width"]
    yield most["tile height"] * deep * most["tile depth"], most["tile width"]


_TIFF_TAGS = {
    "width": 256,
    "height": 257,
    "samples": 277,
    "tile width": 322,
    "tile height": 323,
    "depth": 32997,
    "tile depth": 32998,
}


def _netpbm(data: bytes) -> Iterator[tuple[int, int]]:
    found = _NETPBM.match(data)
    assert found is not None
    yield int(found["height"]), int(found["width"])


_GAP = rb"(?:\s|#[^\n\r]*[\n\r])+"
_NETPBM = re.compile(rb"P[1-6]" + _GAP + rb"(?P<width>\d{1,10})" + _GAP + rb"(?P<height>\d{1,10})\s")
