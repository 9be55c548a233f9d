"""All images of a data set, resized, with what is known of their files: each decoded exactly once.

Decoding a 900 x 900 PNG takes 20 ms, a training step on a cached one 1 ms of loading: so everything after
this works on the store. It keeps the images in a cache on disk, or, without one, in memory. OpenCV and hashlib release
the interpreter lock, so threads are enough.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from protores.data.cache import Cache
from protores.data.frames import Frames
from protores.data.image import read_mask, valid_pixels
from protores.data.look import Look
from protores.data.reader import Cached, Reader, Resized
from protores.data.record import Record, Skipped
from protores.data.sample import Sample

Progress = Callable[[int, int], None]
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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


def _image(reader: Reader, kept: Sequence[Resized | Cached], place: int) -> NDArray[np.uint8]:
    return reader.image(kept[place])


def _mask(reader: Reader, kept: Sequence[Resized | Cached], place: int) -> NDArray[np.uint8]:
    return reader.mask(kept[place])


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
