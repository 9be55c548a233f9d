"""All images of a data set in memory: each decoded exactly once, resized, with what is known of its file.

Decoding a 900 x 900 PNG takes 20 ms, a training step on a cached one 1 ms of loading: so everything after
this works on the store. OpenCV and hashlib release the interpreter lock, so threads are enough.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from protores.data.image import (
    decode_image,
    decode_mask,
    read_bytes,
    read_mask,
    resize_image,
    resize_mask,
    to_rgb,
    valid_pixels,
)
from protores.data.look import Look, look_at
from protores.data.sample import Sample
from protores.errors import DataError

Progress = Callable[[int, int], None]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
    data = read_bytes(sample.path)
    decoded = decode_image(data, sample.path)
    height, width = decoded.pixels.shape[:2]
    mask = None if sample.mask is None else decode_mask(read_bytes(sample.mask), sample.mask)
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


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N images of one size, in the order of the samples they were built from.

    images uint8 RGB N x H x W x 3; masks uint8 {0, 1} N x H x W, zeros for good images and for those without
    a mask; has_mask bool N; valid bool N x H x W or None: False where nothing counts (a border that
    was filled, the ignore image, outside the region of interest). skipped: samples that cannot be used.
    """

    records: tuple[Record, ...]
    looks: tuple[Look, ...]
    images: np.ndarray
    masks: np.ndarray
    has_mask: np.ndarray
    valid: np.ndarray | None
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    @classmethod
    def build(
        cls,
        samples: Sequence[Sample],
        size: tuple[int, int],
        keep_aspect: bool,
        bit_depth: int,
        ignore: Path | None = None,
        roi: Path | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> "ImageStore":
        """Read and resize every sample to size = (height, width) in a pool of threads.

        ignore is an image whose non-zero pixels count nowhere, roi one whose non-zero pixels alone count; both are
        stretched over each image; raises UnreadableImage where one of these cannot be read.
        """
        images = np.empty((len(samples), *size, 3), np.uint8)
        masks = np.zeros((len(samples), *size), np.uint8)
        ignored = None if ignore is None else read_mask(ignore)
        of_interest = None if roi is None else read_mask(roi)
        partly = keep_aspect or ignored is not None or of_interest is not None
        valid = np.ones((len(samples), *size), bool) if partly else None

        def fill(index: int) -> tuple[Record, Look] | Skipped:
            loaded = try_load(samples[index], bit_depth)
            if isinstance(loaded, Skipped):
                return loaded
            images[index] = resize_image(loaded.image, size, keep_aspect)
            if loaded.mask is not None:
                masks[index] = resize_mask(loaded.mask, size, keep_aspect)
            if valid is not None:
                valid[index] = valid_pixels(loaded.image.shape, size, keep_aspect, ignored, of_interest)
            return loaded.record, loaded.look

        results = in_parallel(fill, range(len(samples)), threads, progress)
        kept = [index for index, result in enumerate(results) if not isinstance(result, Skipped)]
        if len(kept) < len(results):
            images, masks = images[kept], masks[kept]
            valid = None if valid is None else valid[kept]
        known = [result for result in results if not isinstance(result, Skipped)]
        skipped = tuple(result for result in results if isinstance(result, Skipped))
        records, looks = tuple(record for record, _ in known), tuple(look for _, look in known)
        has_mask = np.array([record.sample.mask is not None for record in records], bool)
        return cls(records, looks, images, masks, has_mask, valid, skipped)


def in_parallel(
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[_Result]:
    """work(item) for all items in a pool of threads (None: one per processor, 8 at most), in their order.

    The first error, in the order of the items, is raised and the rest is not begun.
    """
    items = list(items)
    results = []
    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            for done, future in enumerate(futures, start=1):
                results.append(future.result())
                if progress is not None:
                    progress(done, len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results
