"""All images of a data set, resized, with what is known of their files: each decoded exactly once.

Decoding a 900 x 900 PNG takes 20 ms, a training step on a cached one 1 ms of loading: so everything after
this works on the store. It keeps the images in a cache on disk, or, without one, in memory. OpenCV and hashlib release
the interpreter lock, so threads are enough.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from protores.data.cache import Cache, Damaged, Entry, use
from protores.data.container import Header
from protores.data.frames import Frames
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
from protores.data.look import Look, MaskLook, look_at
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


@dataclass(frozen=True, eq=False)
class ImageStore:
    """N images of one size, in the order of the samples they were built from.

    images uint8 RGB N x H x W x 3; masks uint8 {0, 1} N x H x W, zeros for good images and for those without
    a mask; has_mask bool N; valid bool N x H x W or None: False where nothing counts (a border that
    was filled, the ignore image, outside the region of interest). skipped: samples that cannot be used.
    """

    records: tuple[Record, ...]
    looks: tuple[Look, ...]
    images: Frames
    masks: Frames
    has_mask: np.ndarray
    valid: Frames | None
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
        cache: Cache | None = None,
    ) -> "ImageStore":
        """Read and resize every sample to size = (height, width) in a pool of threads.

        ignore is an image whose non-zero pixels count nowhere, roi one whose non-zero pixels alone count; both are
        stretched over each image; raises UnreadableImage where one of these cannot be read. cache: where resized images
        are kept, and what was kept there before is taken from; those that it cannot keep, or all where it is None, stay
        in memory.
        """
        ignored = None if ignore is None else read_mask(ignore)
        of_interest = None if roi is None else read_mask(roi)
        reader = Reader(size, keep_aspect, bit_depth, cache)
        results = in_parallel(reader.try_read, samples, threads, progress)
        kept = [result for result in results if not isinstance(result, Skipped)]
        skipped = tuple(result for result in results if isinstance(result, Skipped))
        records = tuple(one.record for one in kept)
        valid = None
        if keep_aspect or ignored is not None or of_interest is not None:
            area = _Area(size, keep_aspect, ignored, of_interest)
            shapes = np.array([(record.height, record.width) for record in records])
            valid = Frames(partial(_valid, area, shapes), len(kept), size, np.bool_)
        return cls(
            records,
            looks=tuple(one.look for one in kept),
            images=Frames(partial(_image, reader, kept), len(kept), (*size, 3), np.uint8),
            masks=Frames(partial(_mask, reader, kept), len(kept), size, np.uint8),
            has_mask=np.array([record.sample.mask is not None for record in records], bool),
            valid=valid,
            skipped=skipped,
        )


@dataclass(frozen=True, eq=False)
class Resized:
    """A sample at the size of its store: uint8 RGB H x W x 3, and its mask (uint8 {0, 1}) if it has one."""

    record: Record
    look: Look
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None


@dataclass(frozen=True, eq=False)
class Cached:
    """The same, in a cache."""

    record: Record
    look: Look
    entry: Entry


@dataclass(frozen=True)
class Reader:
    """Reads samples at one size, with a cache or without."""

    size: tuple[int, int]
    keep_aspect: bool
    bit_depth: int
    cache: Cache | None

    def try_read(self, sample: Sample) -> Resized | Cached | Skipped:
        """A sample from the cache, put there first where it is not; from its file where the cache cannot keep it."""
        try:
            contents = read(sample)
            if self.cache is None:
                return self._resize(sample, contents)
            image, mask = (None if data is None else hashlib.sha256(data).hexdigest() for data in contents)
            entry = self.cache.entry(str(image), mask, self.size, self.keep_aspect, self.bit_depth)
            try:
                found = Cached(*_known(sample, *entry.read()), entry)
                use(entry)
                return found
            except (Damaged, KeyError, TypeError):
                resized = self._resize(sample, contents)
            return self._kept(self.cache, resized, entry)
        except DataError as error:
            return Skipped(sample, error)

    def again(self, lost: Cached) -> Resized:
        """What the cache has lost since. Raises DataError where the sample's file is not what it was, either."""
        sample = lost.record.sample
        resized = self._resize(sample, read(sample))
        if resized.record != lost.record:
            raise DataError(f"{sample.path} changed while it was in use; restore it, or begin anew")
        if self.cache is not None:
            self._kept(self.cache, resized, lost.entry)
        return resized

    def _resize(self, sample: Sample, contents: tuple[bytes, bytes | None]) -> Resized:
        loaded = decode(sample, *contents, self.bit_depth)
        mask = None if loaded.mask is None else resize_mask(loaded.mask, self.size, self.keep_aspect)
        return Resized(loaded.record, loaded.look, resize_image(loaded.image, self.size, self.keep_aspect), mask)

    def _kept(self, cache: Cache, resized: Resized, entry: Entry) -> Resized | Cached:
        arrays = [array for array in (resized.image, resized.mask) if array is not None]
        content = entry.content(_facts(resized), resized.look.thumb, *arrays)
        return Cached(resized.record, resized.look, entry) if cache.write(entry, content) else resized


def _facts(resized: Resized) -> dict[str, Any]:
    """Record and look but for path and thumb, for the cache."""
    record = {name: value for name, value in vars(resized.record).items() if name != "sample"}
    look = {name: value for name, value in vars(resized.look).items() if name not in ("thumb", "header", "mask")}
    mask = resized.look.mask
    return {
        "record": record,
        "look": look,
        "header": asdict(resized.look.header),
        "mask": None if mask is None else asdict(mask),
    }


def _known(sample: Sample, facts: dict[str, Any], thumb: NDArray[np.float32]) -> tuple[Record, Look]:
    """What _facts put away."""
    mask, look = facts["mask"], facts["look"]
    return Record(sample=sample, **facts["record"]), Look(
        header=Header(**facts["header"]),
        thumb=thumb,
        levels=tuple(look["levels"]),
        contrast=look["contrast"],
        mask=None if mask is None else MaskLook(**mask | {"header": Header(**mask["header"])}),
    )


def _image(reader: Reader, kept: Sequence[Resized | Cached], place: int) -> NDArray[np.uint8]:
    one = kept[place]
    try:
        return one.entry.mapped("image") if isinstance(one, Cached) else one.image
    except Damaged:
        return reader.again(one).image


def _mask(reader: Reader, kept: Sequence[Resized | Cached], place: int) -> NDArray[np.uint8]:
    one = kept[place]
    if one.record.sample.mask is None:
        return np.zeros(reader.size, np.uint8)
    try:
        return one.entry.mapped("mask") if isinstance(one, Cached) else one.mask
    except Damaged:
        return reader.again(one).mask


@dataclass(frozen=True, eq=False)
class _Area:
    """Where images count, by their shape."""

    size: tuple[int, int]
    keep_aspect: bool
    ignored: NDArray[np.uint8] | None
    of_interest: NDArray[np.uint8] | None


def _valid(area: _Area, shapes: NDArray[np.int64], place: int) -> NDArray[np.bool_]:
    height, width = shapes[place].tolist()
    return _valid_of(area, (height, width))


@lru_cache(maxsize=64)
def _valid_of(area: _Area, shape: tuple[int, int]) -> NDArray[np.bool_]:
    found = valid_pixels(shape, area.size, area.keep_aspect, area.ignored, area.of_interest)
    assert found is not None
    found.flags.writeable = False
    return found


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
