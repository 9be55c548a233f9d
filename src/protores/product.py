"""One product's images in their roles: what training, preview and evaluation start from."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protores.data.added import with_added
from protores.data.check import findings
from protores.data.findings import Findings
from protores.data.image import probe_bit_depth
from protores.data.layouts import Survey, survey
from protores.data.sample import Dataset
from protores.data.scan import Scan
from protores.data.splits import Split, make_split
from protores.data.store import ImageStore
from protores.progress import Progress
from protores.settings import DataSettings, Settings


@dataclass(frozen=True)
class Images:
    """The images of one role, in one size.

    images: N x H x W x 3 uint8, RGB. masks: N x H x W uint8 in {0, 1}. has_mask, valid: see ImageStore.
    kinds: "good" or the defect's kind. paths: the files.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    has_mask: NDArray[np.bool_]
    valid: NDArray[np.bool_] | None
    kinds: tuple[str, ...]
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def masks_or_none(self) -> list[NDArray[np.uint8] | None]:
        """As metrics take them: None for an image without a mask file."""
        return [mask if has else None for mask, has in zip(self.masks, self.has_mask, strict=True)]

    @property
    def ignored(self) -> NDArray[np.bool_] | None:
        return None if self.valid is None else ~self.valid


@dataclass(frozen=True)
class Product:
    """A data set, the images added to it included, read once, and the role of each image."""

    dataset: Dataset
    store: ImageStore
    split: Split
    findings: Findings

    @property
    def seen_kinds(self) -> set[str]:
        """The kinds of the defects that train."""
        return self.split.seen_kinds

    def role(self, name: str) -> Images:
        """The images of a role: train, seen, calibration, test or excluded."""
        return select(self.store, self.split.indices(name))


def select(store: ImageStore, indices: NDArray[np.int64]) -> Images:
    """Some images of a store, in that order."""
    samples = [store.records[i].sample for i in indices]
    return Images(
        images=store.images[indices],
        masks=store.masks[indices],
        has_mask=store.has_mask[indices],
        valid=None if store.valid is None else store.valid[indices],
        kinds=tuple(s.kind for s in samples),
        paths=tuple(s.path for s in samples),
    )


def read_store(
    found: Survey, settings: DataSettings, skip_bad: bool, progress: Progress, part: str | None = None
) -> tuple[ImageStore, Findings]:
    """All images of a data set (or of one part), as these settings say, and what `protores check` says of them.

    settings.bit_depth must be known. Raises DataError where there are errors among them, after telling all findings.
    """
    store = ImageStore.build(
        [s for s in found.dataset.samples if part in (None, s.part)],
        settings.size,
        settings.keep_aspect,
        settings.bit_depth or 16,
        settings.ignore,
        settings.roi,
        progress=lambda done, total: progress.track("reading images", done, total),
    )
    checked = findings(Scan(found, store.records, store.looks, store.skipped, settings, skip_bad))
    if checked.has_errors:
        for line in checked.problem_lines():
            progress.note(line)
        checked.refuse_errors()
    return store, checked


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
