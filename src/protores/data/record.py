"""One image file read: its pixels, its mask's, and what is known of both."""

import hashlib
from dataclasses import dataclass

import numpy as np

from protores.data.image import decode_image, decode_mask, read_bytes, to_rgb
from protores.data.look import Look, look_at
from protores.data.sample import Sample
from protores.errors import DataError


@dataclass(frozen=True)
class Record:
    """What is known of one image file once it was read.

    sha256 is over the file's bytes. pixels is a sha256 over the decoded pixels, so that a copy that was
    saved again without loss (other format, gray as RGB, upright instead of by EXIF) has the same one.
    height, width, bits (8 or 16) and channels (1 to 4) are the file's; defect_pixels counts its mask's.
    """

    sample: Sample
    sha256: str
    pixels: str
    height: int
    width: int
    bits: int
    channels: int
    defect_pixels: int


@dataclass(frozen=True)
class Loaded:
    """One sample in its original size: uint8 RGB H x W x 3, and its mask (uint8 {0, 1}) if it has one."""

    record: Record
    look: Look
    image: np.ndarray
    mask: np.ndarray | None


@dataclass(frozen=True)
class Skipped:
    """A sample that cannot be used, and why: UnreadableImage, or DataError for a mask of another size."""

    sample: Sample
    error: DataError


def load(sample: Sample, bit_depth: int) -> Loaded:
    """Read one sample. Raises UnreadableImage, or DataError for a mask of another size than its image."""
    return decode(sample, *read(sample), bit_depth)


def read(sample: Sample) -> tuple[bytes, bytes | None]:
    """The contents of a sample's image and of its mask. Raises UnreadableImage."""
    return read_bytes(sample.path), None if sample.mask is None else read_bytes(sample.mask)


def decode(sample: Sample, data: bytes, mask_data: bytes | None, bit_depth: int) -> Loaded:
    """As load, from what read gives."""
    decoded = decode_image(data, sample.path)
    height, width = decoded.pixels.shape[:2]
    mask = None if mask_data is None or sample.mask is None else decode_mask(mask_data, sample.mask)
    if mask is not None and mask.pixels.shape != (height, width):
        turned = ", turned as its EXIF tag says" if decoded.header.orientation > 1 else ""
        raise DataError(
            f"{sample.mask}: this mask is {mask.pixels.shape[1]} x {mask.pixels.shape[0]} pixels but its image "
            f"{sample.path} is {width} x {height}{turned}; export the mask at the image's size"
        )
    record = Record(
        sample=sample,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels=pixel_hash(decoded.pixels),
        height=height,
        width=width,
        bits=decoded.pixels.dtype.itemsize * 8,
        channels=decoded.channels,
        defect_pixels=0 if mask is None else int(mask.pixels.sum()),
    )
    image = to_rgb(decoded.pixels, bit_depth)
    return Loaded(record, look_at(image, decoded.header, mask), image, None if mask is None else mask.pixels)


def try_load(sample: Sample, bit_depth: int) -> Loaded | Skipped:
    """As load, but what it raises is returned."""
    try:
        return load(sample, bit_depth)
    except DataError as error:
        return Skipped(sample, error)


def pixel_hash(pixels: np.ndarray) -> str:
    """sha256 over shape, depth and values; three equal channels count as gray."""
    if pixels.ndim == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        pixels = pixels[..., 0]
    digest = hashlib.sha256(f"{pixels.shape} {pixels.dtype.itemsize}".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
