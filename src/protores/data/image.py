"""Image and mask files to arrays: decoded from bytes, any depth, upright; and resized.

Decoding is from bytes since cv2.imread fails on non-ASCII Windows paths, and with IMREAD_UNCHANGED since
every shorter way loses something: Pillow's convert("RGB") turns 16-bit images white, cv2's colour modes
drop alpha. EXIF orientation, which IMREAD_UNCHANGED ignores, is applied by protores.data.container.
Only numpy, OpenCV and tifffile: the runtime reads its images with the same functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from protores.data.container import PNG, TIFF, Damaged, Header, examine, upright
from protores.errors import UnreadableImage

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
"""File name endings (in lower case) of the image types that are read."""

BIT_DEPTHS = (8, 10, 12, 14, 16)
_PROBED_FILES = 32
_LABEL_VALUES = 8
_CURE = "copy it again from its source, or leave such files out with --skip-bad"


@dataclass(frozen=True)
class Decoded:
    """An image as stored: upright, alpha composited on black, all bits kept.

    pixels is H x W (gray) or H x W x 3 (RGB), uint8 or uint16; channels counts those in the file (1 to 4).
    header: how the file stores it.
    """

    pixels: np.ndarray
    channels: int
    header: Header = Header()


def decode_image(data: bytes, path: Path | str) -> Decoded:
    """Decode the bytes of the image file at path (used in messages only).

    Raises UnreadableImage where they are empty, cut off, no image, or neither 8- nor 16-bit integers.
    """
    try:
        pixels, header = _decode(data)
    except Damaged as error:
        raise UnreadableImage(f"{path}: {error}; {_CURE}") from error
    return replace(compose(pixels, path), header=header)


def compose(pixels: np.ndarray, name: Path | str) -> Decoded:
    """An image as an array: H x W or H x W x 1 to 4 (gray, gray and alpha, RGB, RGBA), uint8 or uint16.

    Raises UnreadableImage, with the name in its message, for any other.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(f"{name}: holds {pixels.dtype} values; save it as 8- or 16-bit gray or colour")
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise UnreadableImage(f"{name}: has the shape {pixels.shape}; give height x width (x channels), none of them 0")
    pixels = np.ascontiguousarray(pixels)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 1:
        pixels = pixels.reshape(pixels.shape[:2])
    elif channels == 2:
        pixels = _on_black(pixels[..., :1], pixels[..., 1:])[..., 0]
    elif channels == 4:
        pixels = _on_black(pixels[..., :3], pixels[..., 3:])
    elif channels > 4:
        raise UnreadableImage(f"{name}: has {channels} channels; save it as gray, RGB or RGBA")
    return Decoded(pixels, channels)


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises UnreadableImage where there is no such file or it may not be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"{path}: {error.strerror or error}; check the path and its rights") from error


def read_image(path: Path, bit_depth: int = 16) -> np.ndarray:
    """Read an image file as uint8 RGB H x W x 3 (see to_rgb for what bit_depth does)."""
    return to_rgb(decode_image(read_bytes(path), path).pixels, bit_depth)


def to_rgb(pixels: np.ndarray, bit_depth: int) -> np.ndarray:
    """Bring decoded pixels (H x W or H x W x 3, uint8 or uint16) to uint8 RGB H x W x 3.

    Gray is replicated. 16-bit values become round(255 x value / (2^bit_depth - 1)), clipped at 255;
    8-bit values stay as they are.
    """
    if pixels.dtype == np.uint16:
        full = 2**bit_depth - 1
        levels = np.arange(65536, dtype=np.uint32)
        pixels = np.minimum((levels * 255 + full // 2) // full, 255).astype(np.uint8)[pixels]
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels


def probe_bit_depth(paths: Sequence[Path]) -> int:
    """How many bits (8, 10, 12, 14 or 16) the 16-bit files among up to 32 of paths really use.

    The least depth that holds their brightest value; 16 where none of them is a 16-bit file.
    Unreadable files are passed over: whoever reads them for good reports them.
    """
    brightest = -1
    picks = np.linspace(0, len(paths) - 1, min(len(paths), _PROBED_FILES)).round().astype(int)
    for path in (paths[i] for i in picks):
        try:
            data = read_bytes(path)
            pixels = decode_image(data, path).pixels if _may_have_16_bits(data) else None
        except UnreadableImage:
            continue
        if pixels is not None and pixels.dtype == np.uint16:
            brightest = max(brightest, int(pixels.max()))
    if brightest < 0:
        return 16
    return next(bits for bits in BIT_DEPTHS if brightest < 2**bits)


@dataclass(frozen=True)
class Mask:
    """A mask as it was read. pixels: uint8 H x W, 1 = defect.

    values: how many different values its file holds. doubtful: how many pixels lie between a tenth and nine tenths of
    the brightest possible value, where a half decides.
    """

    pixels: np.ndarray
    values: int
    doubtful: int
    header: Header


def decode_mask(data: bytes, path: Path | str) -> Mask:
    """Decode the bytes of the mask file at path (used in messages only).

    A pixel's value is its brightest channel. A lossless file with few values (up to 8, or 0 to k without a
    gap: a label map) counts every non-zero pixel. One with more values (smoothed outlines), or a JPEG (whose
    compression leaves noise around the outline), counts those from half of the brightest possible value up.
    Raises UnreadableImage.
    """
    decoded = decode_image(data, path)
    values = decoded.pixels if decoded.pixels.ndim == 2 else decoded.pixels.max(axis=2)
    found, counts = np.unique(values, return_counts=True)
    is_label_map = len(found) <= _LABEL_VALUES or (found[-1] < 128 and found[-1] == len(found) - 1)
    if is_label_map and decoded.header.format != "JPEG":
        return Mask((values > 0).astype(np.uint8), len(found), 0, decoded.header)
    full = np.iinfo(values.dtype).max
    doubtful = int(counts[(found > 0.1 * full) & (found < 0.9 * full)].sum())
    return Mask((values > full // 2).astype(np.uint8), len(found), doubtful, decoded.header)


def read_mask(path: Path) -> np.ndarray:
    """Read a mask file as uint8 H x W, 1 = defect; see decode_mask. Raises UnreadableImage."""
    return decode_mask(read_bytes(path), path).pixels


def fit_box(shape: tuple[int, ...], size: tuple[int, int], keep_aspect: bool) -> tuple[int, int, int, int]:
    """Where an image of this shape (H x W or H x W x C) lies once resized to size: top, left, height, width.

    All of it without keep_aspect, else the largest centred box of the same proportions.
    """
    if not keep_aspect:
        return 0, 0, size[0], size[1]
    height, width = shape[:2]
    scale = min(size[0] / height, size[1] / width)
    box = (max(1, min(size[0], round(height * scale))), max(1, min(size[1], round(width * scale))))
    return (size[0] - box[0]) // 2, (size[1] - box[1]) // 2, *box


def resize_image(image: np.ndarray, size: tuple[int, int], keep_aspect: bool = False) -> np.ndarray:
    """Resize an image (H x W or H x W x C) to size = (height, width).

    Averages over areas where it shrinks, bilinear where it grows. With keep_aspect the rest is filled by
    repeating the border; valid_pixels says which that is.
    """
    top, left, height, width = fit_box(image.shape, size, keep_aspect)
    resized = _resample(image, height, width)
    if not keep_aspect:
        return resized
    bottom, right = size[0] - top - height, size[1] - left - width
    return cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_REPLICATE)


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """An image, uint8 H x W x 3, with at most `side` pixels on its longer side; one that has no more as it is."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    return _resample(image, max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))


def encode_mask(mask: np.ndarray) -> bytes:
    """A mask, uint8 {0, 1}, as the PNG file that read_mask reads."""
    return cv2.imencode(".png", mask * np.uint8(255))[1].tobytes()


def valid_pixels(
    shape: tuple[int, ...],
    size: tuple[int, int],
    keep_aspect: bool = False,
    ignore: np.ndarray | None = None,
    roi: np.ndarray | None = None,
) -> np.ndarray | None:
    """Where an image of this shape (H x W (x C)) counts once resized to size: bool, height x width; None: everywhere.

    Not in a border that was filled, nor where ignore is set, and only where roi is set. Both are uint8 {0, 1}
    of any size and stretched over the image.
    """
    if not keep_aspect and ignore is None and roi is None:
        return None
    top, left, height, width = fit_box(shape, size, keep_aspect)
    valid = np.zeros(size, bool)
    box = valid[top : top + height, left : left + width]
    box[:] = True
    if ignore is not None:
        box &= resize_mask(ignore, (height, width)) == 0
    if roi is not None:
        box &= resize_mask(roi, (height, width)) == 1
    return valid


def network_input(images: np.ndarray) -> np.ndarray:
    """Resized images, uint8 RGB N x H x W x 3, as the network takes them: float32 N x 3 x H x W in [0, 1]."""
    return np.divide(images, np.float32(255), dtype=np.float32).transpose(0, 3, 1, 2)


def resize_mask(mask: np.ndarray, size: tuple[int, int], keep_aspect: bool = False) -> np.ndarray:
    """Resize a mask (uint8 {0, 1}, H x W) to size = (height, width), uint8 {0, 1}.

    A pixel is defect where at least half of it is covered. An 8-connected component that would vanish so
    (a speck, a scratch thinner than half a pixel) keeps the pixels that it covers at least half as much as
    the one it covers most. Outside the image (keep_aspect) there is no defect.
    """
    top, left, height, width = fit_box(mask.shape, size, keep_aspect)
    resized = np.zeros(size, np.uint8)
    box = resized[top : top + height, left : left + width]
    box[:] = _resample(mask.astype(np.float32), height, width) >= 0.5
    _restore_vanished(mask, box)
    return resized


def _restore_vanished(mask: np.ndarray, resized: np.ndarray) -> None:
    """Draw the components of mask that left no pixel in resized, in place."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    if count == 1:
        return
    rows, columns = np.nonzero(mask)
    cells = (rows * 2 + 1) * resized.shape[0] // (2 * mask.shape[0]) * resized.shape[1]
    cells += (columns * 2 + 1) * resized.shape[1] // (2 * mask.shape[1])
    owners = labels[rows, columns]
    survivors = np.unique(owners[resized.ravel()[cells] > 0])
    for owner in np.setdiff1d(np.arange(1, count), survivors):
        touched, coverage = np.unique(cells[owners == owner], return_counts=True)
        kept = touched[2 * coverage >= coverage.max()]
        resized[kept // resized.shape[1], kept % resized.shape[1]] = 1


def _resample(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Shrink by INTER_AREA along the axes that shrink, then grow by INTER_LINEAR along the others.

    One cv2.resize would not do: INTER_AREA falls back to bilinear, without averaging, where one axis grows.
    """
    smaller = (min(height, image.shape[0]), min(width, image.shape[1]))
    if smaller != image.shape[:2]:
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if (height, width) != image.shape[:2]:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def _decode(data: bytes) -> tuple[np.ndarray, Header]:
    """Bytes to H x W (x C), channels in RGB(A) order, upright; raises Damaged."""
    header = examine(data)
    if data.startswith(TIFF):
        from protores.data.tiff import decode_tiff  # 0.2 s to import, and few need it

        return decode_tiff(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Damaged("not an image that can be read, or too large") from error
    if pixels is None:
        raise Damaged("damaged, or not an image")
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    elif pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)
    return upright(pixels, header.orientation), header


def _on_black(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    full = np.iinfo(colour.dtype).max
    return ((colour.astype(np.uint32) * alpha + full // 2) // full).astype(colour.dtype)


def _may_have_16_bits(data: bytes) -> bool:
    if data.startswith(PNG):
        return len(data) > 24 and data[24] == 16
    return data.startswith((*TIFF, b"P5", b"P6"))
