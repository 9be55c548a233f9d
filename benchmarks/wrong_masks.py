"""A product's images once more, with other masks on the defects that train: what do careless outlines cost?

The copy has MVTec AD's layout. Its training part holds the seen defects that the split of these settings draws, with
the changed masks, and its test part the test images of that split with their own. So whatever the change, the same
images train and the same are tested; "exact" changes nothing.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.image import read_mask
from protores.data.sample import GOOD
from protores.files import whole_folder
from protores.product import open_product
from protores.progress import Progress
from protores.settings import Settings
from protores.synthesis.anomaly import disc

Mask = NDArray[np.uint8]
SHARE = 0.02
"""How far outlines are off, as part of the image's longer side: 5 pixels of 256."""


def dilated(mask: Mask, rng: np.random.Generator) -> Mask:
    return cv2.dilate(mask, disc(_pixels(mask)))


def shifted(mask: Mask, rng: np.random.Generator) -> Mask:
    """In a drawn direction, mirrored where that leaves nothing of it in the image."""
    angle = rng.uniform(0, 2 * np.pi)
    x, y = round(_pixels(mask) * np.cos(angle)), round(_pixels(mask) * np.sin(angle))
    moves = (np.float32([[1, 0, i * x], [0, 1, j * y]]) for i, j in ((1, 1), (-1, -1), (1, -1), (-1, 1)))
    tried = (cv2.warpAffine(mask, move, mask.shape[::-1]) for move in moves)
    return next((moved for moved in tried if moved.any()), mask)


def boxes(mask: Mask, rng: np.random.Generator) -> Mask:
    """The bounding box of each connected spot."""
    count, _, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    filled = np.zeros_like(mask)
    for left, top, width, height, _ in found[1:count]:
        filled[top : top + height, left : left + width] = 1
    return filled


def _pixels(mask: Mask) -> int:
    return max(1, round(SHARE * max(mask.shape)))


CHANGES: dict[str, Callable[[Mask, np.random.Generator], Mask]] = {
    "exact": lambda mask, rng: mask,
    "dilated": dilated,
    "shifted": shifted,
    "boxes": boxes,
    "half_missing": lambda mask, rng: mask,
}
"""By name; masks are uint8 H x W in {0, 1}. half_missing: every second seen defect has no mask, so it cannot train."""


def copy_with_masks(settings: Settings, change: str, into: Path) -> None:
    """Makes the folder `into`; train on it with split.seen = "all". Images are links to the original files."""
    product, settings = open_product(settings, False, Progress())
    with whole_folder(into) as root:
        seen = 0
        for index, (record, entry) in enumerate(zip(product.store.records, product.split.entries, strict=True)):
            sample = record.sample
            if entry.role == "excluded":
                continue
            kind = GOOD if sample.is_good else sample.kind
            name = f"{index:05d}_{sample.path.stem}"
            part = "test" if entry.role == "test" else "train"
            _link(sample.path, root / part / kind / f"{name}{sample.path.suffix}")
            mask = root / "ground_truth" / kind / f"{name}_mask.png"
            if sample.is_good or sample.mask is None:
                continue
            if part == "test":
                _link(sample.mask, mask.with_suffix(sample.mask.suffix))
                continue
            seen += 1
            if change == "half_missing" and seen % 2 == 0:
                continue
            changed = CHANGES[change](read_mask(sample.mask), np.random.default_rng((settings.seed, index)))
            mask.parent.mkdir(parents=True, exist_ok=True)
            mask.write_bytes(cv2.imencode(".png", changed * np.uint8(255))[1].tobytes())


def _link(file: Path, at: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(file.resolve())
