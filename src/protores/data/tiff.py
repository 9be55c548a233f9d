"""TIFF files: by tifffile where it can, by OpenCV for the compressions that tifffile needs a plug-in for.

tifffile keeps every sample as it is stored and knows where each strip lies, so that a file that was cut
off is found out; OpenCV decodes such a file silently in some arrangements (planar colour, for one).
"""

import io

import cv2
import numpy as np
import tifffile

from protores.data.container import Damaged, upright

_ORIENTATION = 274


def decode_tiff(data: bytes) -> np.ndarray:
    """Decode the first page to H x W or H x W x C (C in RGB or RGBA order), upright, as stored.

    Raises Damaged where the file is cut off, or stored in a way that neither decoder reads.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            _require_whole(page, len(data))
            pixels, orientation = _by_tifffile(page), 1
            tag = page.tags.get(_ORIENTATION)
            if tag is not None:
                orientation = int(tag.value)
                # OpenCV turns the image itself, in some versions and arrangements: tell it not to.
                data = data[: tag.valueoffset] + _ONE[file.byteorder] + data[tag.valueoffset + 2 :]
    except Damaged:
        raise
    except Exception as error:  # tifffile raises anything from KeyError to struct.error on broken files
        raise Damaged("cut off or damaged: its TIFF structure cannot be followed") from error
    if pixels is None:
        pixels = _by_opencv(data)
    return upright(pixels, orientation)


_ONE = {"<": b"\1\0", ">": b"\0\1"}


def _require_whole(page: tifffile.TiffPage, size: int) -> None:
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset + count > size:
            raise Damaged("cut off: the file ends before the TIFF does")


def _by_tifffile(page: tifffile.TiffPage) -> np.ndarray | None:
    """The page as H x W (x C), or None where the compression or the colour model is OpenCV's to read."""
    if page.photometric not in _GRAY_OR_RGB or page.jpegtables is not None:
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
