"""What an image file's bytes say besides its pixels: is it whole, which way up, and how its values are stored.

Decoders differ on files that were cut off: some versions of OpenCV fill the rest with gray and print a
warning. So the file's own structure is walked here. OpenCV also ignores the EXIF orientation when asked
for unchanged pixels (IMREAD_UNCHANGED, the only way to keep alpha and 16 bits), so it is found here too.
Sources: PNG (W3C, section 5), JPEG (ITU T.81, annex B), EXIF 2.32 tag 0x0112, RIFF/WebP container, BMP.
"""

import re
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
FORMATS = {
    "PNG": (PNG,),
    "JPEG": (JPEG,),
    "TIFF": TIFF,
    "BMP": (b"BM",),
    "PNM": (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"),
    "GIF": (b"GIF87a", b"GIF89a"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51"),
}
"""How files of each format begin; those of WebP, AVIF and HEIC are told by what stands behind a length."""
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112


class Damaged(ValueError):
    """The file ends too early or is no image; the message says why in a few words."""


@dataclass(frozen=True)
class Header:
    """How a file stores its image. format: a key of FORMATS, WebP, AVIF, HEIC, or "" where it is none of these.

    orientation: EXIF's, 1 (upright) to 8. frames: pictures in the file, of which the first is read. storage: plain
    values, indices into a palette, or the inks of a press (CMYK), which become colours by rule of thumb.
    """

    format: str = ""
    orientation: int = 1
    frames: int = 1
    storage: Literal["plain", "palette", "CMYK"] = "plain"


def format_of(data: bytes) -> str:
    """The format that a file's first 12 bytes or more tell, as in Header."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC"}.get(data[8:12], "")
    return next((name for name, starts in FORMATS.items() if data.startswith(starts)), "")


def examine(data: bytes) -> Header:
    """Walk the file's structure.

    Raises Damaged for an empty file and for PNG, JPEG, WebP and BMP files that end too early.
    TIFF is left to protores.data.tiff, anything else to its decoder.
    """
    if not data.strip(b"\0"):
        raise Damaged("the file is empty")
    found = format_of(data)
    walk = {"PNG": _examine_png, "JPEG": _examine_jpeg, "WebP": _examine_webp, "BMP": _examine_bmp}.get(found)
    return Header(found) if walk is None else walk(data)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image of H x W (x C) the way its EXIF orientation (1 to 8) asks for."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _examine_png(data: bytes) -> Header:
    orientation, frames, at = 1, 1, len(PNG)
    storage: Literal["plain", "palette"] = "palette" if data[25:26] == b"\3" else "plain"
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IEND":
            return Header("PNG", orientation, frames, storage)
        if name == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        elif name == b"acTL":
            (frames,) = struct.unpack_from(">I", data, at + 8)
        at += 12 + length
    raise Damaged("cut off: the file ends before the PNG does")


def _examine_jpeg(data: bytes) -> Header:
    orientation, components, at = 1, 3, 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return Header("JPEG", orientation, storage="CMYK" if components == 4 else "plain")
        if at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if marker == 0xE1 and data[at + 2 : at + 8] == _EXIF:
            orientation = _exif_orientation(data[at + 8 : at + length])
        elif marker in _FRAMES and at + 7 < len(data):
            components = data[at + 7]
        at += length
    raise Damaged("cut off: the file ends before the JPEG does")


# A marker that carries a segment, or the end of image: not a stuffed 0xFF, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _examine_webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < size + 8:
        raise Damaged("cut off: the file ends before the WebP does")
    orientation, frames, at = 1, 0, 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(_EXIF))
        frames += name == b"ANMF"
        at += 8 + length + length % 2
    return Header("WebP", orientation, max(1, frames))


def _examine_bmp(data: bytes) -> Header:
    if len(data) < 54:
        raise Damaged("cut off: the file ends within the BMP's header")
    (start,) = struct.unpack_from("<I", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    plain = compression in (0, 3)
    if plain and len(data) < start + (width * bits + 31) // 32 * 4 * abs(height):
        raise Damaged("cut off: the file ends before the BMP does")
    return Header("BMP", storage="palette" if bits <= 8 and not _is_gray(data[54:start]) else "plain")


def _is_gray(palette: bytes) -> bool:
    """Whether a BMP's palette (blue, green, red, nothing) holds grays alone, as that of every gray BMP does."""
    return palette[::4] == palette[1::4] == palette[2::4]


def _exif_orientation(block: bytes) -> int:
    """The orientation tag of an EXIF block (a TIFF header and its first directory), 1 where there is none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return 1
    (at,) = struct.unpack_from(order + "I", block, 4)
    if at + 2 > len(block):
        return 1
    (count,) = struct.unpack_from(order + "H", block, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(block) - 11), 12):
        tag, _, _, value = struct.unpack_from(order + "HHIH", block, entry)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1
