"""One product's images in their roles: what training, preview and evaluation start from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protores.data.added import with_added
from protores.data.cache import Cache, user_folder
from protores.data.check import findings
from protores.data.findings import Findings
from protores.data.frames import Frames
from protores.data.image import probe_bit_depth
from protores.data.layouts import Survey, survey
from protores.data.sample import Dataset
from protores.data.scan import Scan
from protores.data.splits import Split, make_split
from protores.data.store import ImageStore
from protores.progress import Progress
from protores.settings import DataSettings, Settings

ALL = slice(None)
TOLD = 1e8
"""Bytes new in the cache, from which people are told."""


@dataclass(frozen=True)
class Images:
    """The images of one role, in one size.

    images: N x H x W x 3 uint8, RGB. masks: N x H x W uint8 in {0, 1}. has_mask, valid: see ImageStore.
    kinds: "good" or the defect's kind. paths: the files.
    """

    images: Frames | NDArray[np.uint8]
    masks: Frames | NDArray[np.uint8]
    has_mask: NDArray[np.bool_]
    valid: Frames | NDArray[np.bool_] | None
    kinds: tuple[str, ...]
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.kinds)

    def masks_or_none(self, part: slice = ALL) -> list[NDArray[np.uint8] | None]:
        """Those of some images as metrics take them: None for an image without a mask file."""
        return [mask if has else None for mask, has in zip(self.masks[part], self.has_mask[part], strict=True)]

    def ignored(self, part: slice = ALL) -> NDArray[np.bool_] | None:
        """Where some images do not count."""
        return None if self.valid is None else ~self.valid[part]

    @property
    def counting_masks(self) -> Frames:
        """The masks without what does not count."""
        return Frames(self._counting_mask, len(self), self.masks.shape[1:], np.uint8)

    def _counting_mask(self, place: int) -> NDArray[np.uint8]:
        mask = self.masks[place]
        return mask if self.valid is None else mask * self.valid[place]


@dataclass(frozen=True)
class Product:
    """A data set, the images added to it included, read once, and the role of each image."""

    dataset: Dataset
    store: ImageStore
    split: Split
    findings: Findings

    @property
    def name(self) -> str:
        return self.dataset.root.name

    @property
    def parts(self) -> tuple["Product", ...]:
        """Itself: of several products (protores.products) these are the parts."""
        return (self,)

    @property
    def seen_kinds(self) -> set[str]:
        """The kinds of the defects that train."""
        return self.split.seen_kinds

    def problem_lines(self) -> Iterator[str]:
        """What is wrong with the folder."""
        return self.findings.problem_lines()

    def role(self, name: str) -> Images:
        """The images of a role: train, seen, calibration, test or excluded."""
        return select(self.store, self.split.indices(name))


def select(store: ImageStore, indices: NDArray[np.int64]) -> Images:
    """Some images of a store, in that order."""
    samples = [store.records[i].sample for i in indices]
    return Images(
        images=store.images.select(indices),
        masks=store.masks.select(indices),
        has_mask=store.has_mask[indices],
        valid=None if store.valid is None else store.valid.select(indices),
        kinds=tuple(s.kind for s in samples),
        paths=tuple(s.path for s in samples),
    )


def read_store(
    found: Survey, settings: DataSettings, skip_bad: bool, progress: Progress, part: str | None = None
) -> tuple[ImageStore, Findings]:
    """All images of a data set (or of one part), as these settings say, and what `protores check` says of them.

    settings.bit_depth must be known. Raises DataError where there are errors among them, after telling all findings.
    """
    cache = open_cache(settings)
    store = ImageStore.build(
        [s for s in found.dataset.samples if part in (None, s.part)],
        settings.size,
        settings.keep_aspect,
        settings.bit_depth or 16,
        settings.ignore,
        settings.roi,
        progress=lambda done, total: progress.track("reading images", done, total),
        cache=cache,
    )
    if cache is not None:
        _tell(cache, progress)
        if cache.written:
            cache.tidy()
    checked = findings(Scan(found, store.records, store.looks, store.skipped, settings, skip_bad))
    if checked.has_errors:
        for line in checked.problem_lines():
            progress.note(line)
        checked.refuse_errors()
    return store, checked


def open_cache(settings: DataSettings) -> Cache | None:
    """Where these settings keep decoded images."""
    if settings.cache == "none":
        return None
    folder = user_folder() if settings.cache == "user" else settings.cache
    return Cache(folder, round(settings.cache_gb * 1e9))


def _tell(cache: Cache, progress: Progress) -> None:
    if cache.failure is not None:
        why = f"{cache.folder} cannot be written ({cache.failure.strerror or cache.failure})"
        progress.note(f"decoded images stay in memory since {why}; name another folder with --set data.cache=DIR")
    if cache.written > TOLD:
        progress.note(f"{cache.written / 1e9:.1f} GB of decoded images were put into {cache.folder} (data.cache)")


def open_product(settings: Settings, skip_bad: bool, progress: Progress) -> tuple[Product, Settings]:
    """Reads settings.data.root and what is added to it, and draws the roles.

    Returns the settings with the bit depth that was found in the former.
    Raises DataError and SplitError as the reading and the drawing do.
    """
    if settings.data.root is None:
        raise ValueError("settings.data.root is not set")
    found = survey(settings.data.root)
    depth = settings.data.bit_depth or probe_bit_depth([s.path for s in found.dataset.samples if s.is_good])
    data = settings.data.model_copy(update={"bit_depth": depth})
    settings = settings.model_copy(update={"data": data})
    found = replace(found, dataset=with_added(found.dataset, settings.data.add))
    store, checked = read_store(found, settings.data, skip_bad, progress)
    dataset = found.dataset
    split = make_split(store.records, dataset.has_test, settings.split, settings.seed, dataset.root)
    return Product(dataset, store, split, checked), settings
