"""TIFF files: by tifffile where it can, by OpenCV for the compressions that tifffile needs a plug-in for.

tifffile keeps every sample as it is stored and knows where each strip lies, so that a file that was cut
off is found out; OpenCV decodes such a file silently in some arrangements (planar colour, for one). But tifffile
unpacks whatever a compressed strip holds, however little the image needs of it: that is measured here first.
"""

import io
import lzma
import math
import zlib
from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
import tifffile

from protores.data.container import Damaged, Header, upright

_ORIENTATION = 274


def decode_tiff(data: bytes) -> tuple[np.ndarray, Header]:
    """Decode the first page to H x W or H x W x C (C in RGB or RGBA order), upright, as stored.

    Raises Damaged where the file is cut off, or stored in a way that neither decoder reads.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            _require_whole(page, len(data))
            _require_honest(page, data)
            pixels, orientation = _by_tifffile(page), 1
            tag = page.tags.get(_ORIENTATION)
            if tag is not None:
                orientation = int(tag.value)
                # OpenCV turns the image itself, in some versions and arrangements: tell it not to.
                data = data[: tag.valueoffset] + _ONE[file.byteorder] + data[tag.valueoffset + 2 :]
            header = Header("TIFF", orientation, _pictures(file), _STORAGE.get(page.photometric, "plain"))
    except Damaged:
        raise
    except Exception as error:  # tifffile raises anything from KeyError to struct.error on broken files
        raise Damaged("cut off or damaged: its TIFF structure cannot be followed") from error
    if pixels is None:
        pixels = _by_opencv(data)
    return upright(pixels, orientation), header


def _pictures(file: tifffile.TiffFile) -> int:
    """Pages but for thumbnails and other smaller versions of the first."""
    return 1 + sum(not page.is_reduced for page in file.pages[1:])


_STORAGE: dict[int, Literal["palette", "CMYK"]] = {
    tifffile.PHOTOMETRIC.PALETTE: "palette",
    tifffile.PHOTOMETRIC.SEPARATED: "CMYK",
}
_ONE = {"<": b"\1\0", ">": b"\0\1"}


def _require_whole(page: tifffile.TiffPage, size: int) -> None:
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + count > size:
            raise Damaged("cut off: the file ends before the TIFF does")


def _require_honest(page: tifffile.TiffPage, data: bytes) -> None:
    """Raises Damaged where its strips or tiles unpack to more than they have room for."""
    if page.compression not in _UNPACKERS or page.dtype is None:
        return
    room = max(page.nbytes, math.prod(page.chunks) * math.prod(page.chunked) * page.dtype.itemsize)
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        unpacker = _UNPACKERS[page.compression]()
        piece = data[offset : offset + count]
        while piece is not None:
            room -= len(unpacker.decompress(piece, _PIECE))
            if room < 0:
                raise Damaged("it unpacks to more than its image holds")
            piece = _left(unpacker)


def _left(unpacker: "zlib._Decompress | lzma.LZMADecompressor") -> bytes | None:
    """What there is still to be given to an unpacker; None: it is done."""
    if unpacker.eof:
        return None
    if isinstance(unpacker, lzma.LZMADecompressor):
        return None if unpacker.needs_input else b""
    return unpacker.unconsumed_tail or None


_PIECE = 1 << 20
_UNPACKERS: dict[int, Callable[[], Any]] = {
    tifffile.COMPRESSION.ADOBE_DEFLATE: zlib.decompressobj,
    tifffile.COMPRESSION.DEFLATE: zlib.decompressobj,
    tifffile.COMPRESSION.LZMA: lzma.LZMADecompressor,
}


def _by_tifffile(page: tifffile.TiffPage) -> np.ndarray | None:
    """The page as H x W (x C), or None where the compression or the colour model is OpenCV's to read."""
    if page.photometric not in _GRAY_OR_RGB or page.compression not in (tifffile.COMPRESSION.NONE, *_UNPACKERS):
        return None
    try:
        pixels = np.asarray(page.asarray())
    except (ValueError, RuntimeError, ImportError):
        return None
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim not in (2, 3):
        return None
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        pixels = np.iinfo(pixels.dtype).max - pixels if pixels.dtype.kind == "u" else pixels
    return pixels


_GRAY_OR_RGB = (
    tifffile.PHOTOMETRIC.MINISBLACK,
    tifffile.PHOTOMETRIC.MINISWHITE,
    tifffile.PHOTOMETRIC.RGB,
)


def _by_opencv(data: bytes) -> np.ndarray:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise Damaged("damaged, or a kind of TIFF that cannot be read")
    if pixels.ndim == 3 and pixels.shape[2] >= 3:
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    return pixels
