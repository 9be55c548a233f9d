"""What an image file's bytes say besides its pixels: is it whole, and which way up.

Decoders differ on files that were cut off: some versions of OpenCV fill the rest with gray and print a
warning. So the file's own structure is walked here. OpenCV also ignores the EXIF orientation when asked
for unchanged pixels (IMREAD_UNCHANGED, the only way to keep alpha and 16 bits), so it is found here too.
Sources: PNG (W3C, section 5), JPEG (ITU T.81, annex B), EXIF 2.32 tag 0x0112, RIFF/WebP container, BMP.
"""

import re
import struct

import numpy as np

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112


class Damaged(ValueError):
    """The file ends too early or is no image; the message says why in a few words."""


def examine(data: bytes) -> int:
    """Walk the file's structure; return its EXIF orientation, 1 (upright) to 8.

    Raises Damaged for an empty file and for PNG, JPEG, WebP and BMP files that end too early.
    TIFF is left to protores.data.tiff, anything else to its decoder.
    """
    if not data.strip(b"\0"):
        raise Damaged("the file is empty")
    if data.startswith(PNG):
        return _examine_png(data)
    if data.startswith(JPEG):
        return _examine_jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _examine_webp(data)
    if data.startswith(b"BM"):
        _examine_bmp(data)
    return 1


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image of H x W (x C) the way its EXIF orientation (1 to 8) asks for."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _examine_png(data: bytes) -> int:
    orientation, at = 1, len(PNG)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IEND":
            return orientation
        if name == b"eXIf":
            orientation = _exif_orientation(data[at + 8 : at + 8 + length])
        at += 12 + length
    raise Damaged("cut off: the file ends before the PNG does")


def _examine_jpeg(data: bytes) -> int:
    orientation, at = 1, 2
    while (found := _MARKER.search(data, at)) is not None:
        marker, at = data[found.start() + 1], found.end()
        if marker == 0xD9:
            return orientation
        if at + 2 > len(data):
            break
        (length,) = struct.unpack_from(">H", data, at)
        if marker == 0xE1 and data[at + 2 : at + 8] == _EXIF:
            orientation = _exif_orientation(data[at + 8 : at + length])
        at += length
    raise Damaged("cut off: the file ends before the JPEG does")


# A marker that carries a segment, or the end of image: not a stuffed 0xFF, a restart or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def _examine_webp(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    if len(data) < size + 8:
        raise Damaged("cut off: the file ends before the WebP does")
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            return _exif_orientation(data[at + 8 : at + 8 + length].removeprefix(_EXIF))
        at += 8 + length + length % 2
    return 1


def _examine_bmp(data: bytes) -> None:
    if len(data) < 54:
        raise Damaged("cut off: the file ends within the BMP's header")
    (start,) = struct.unpack_from("<I", data, 10)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    plain = compression in (0, 3)
    if plain and len(data) < start + (width * bits + 31) // 32 * 4 * abs(height):
        raise Damaged("cut off: the file ends before the BMP does")


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
