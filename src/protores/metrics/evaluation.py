"""Figures of a whole test set: over all images, for seen and for unseen kinds of defects, and for each kind.

Each of these sets a group of defect images against all the good images. Defect images without a mask count
for the image figures and are left out of the pixel figures, which would otherwise call their defects good.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protores.data.sample import GOOD
from protores.metrics.pixels import PixelCurves
from protores.metrics.ranking import rank


@dataclass(frozen=True)
class Figures:
    """All in [0, 1]; None where the images or pixels are all good or all defect."""

    image_auroc: float | None
    image_ap: float | None
    pixel_auroc: float | None
    pixel_ap: float | None
    pro: float | None
    pixel_f1_max: float | None


@dataclass(frozen=True)
class Counts:
    """Images behind the figures; without_mask are the defective ones that pixel figures leave out."""

    images: int
    good: int
    defective: int
    without_mask: int
    kinds: Mapping[str, int]


@dataclass(frozen=True)
class Evaluation(Figures):
    """Figures of the whole test set and of its parts; exact is false where pixels had to be binned."""

    seen: Figures
    unseen: Figures
    kinds: Mapping[str, Figures]
    counts: Counts
    exact: bool

    def to_dict(self) -> dict[str, Any]:
        """The same as nested dicts for JSON."""
        return asdict(self)


class Evaluator:
    """Collects scores and maps of test images, some at a time, and gives their figures; of the maps it keeps what
    PixelCurves does.
    """

    def __init__(self) -> None:
        self._curves = PixelCurves()
        self._scores: list[float] = []
        self._kinds: list[str] = []
        self._without_mask = 0

    def update(
        self,
        scores: ArrayLike,
        maps: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        masks: Sequence[NDArray[np.uint8] | None] | NDArray[np.uint8],
        kinds: Sequence[str],
        ignore: ArrayLike | None = None,
    ) -> None:
        """Adds images; arguments and errors as in evaluate."""
        score = np.asarray(scores, np.float64)
        if not score.shape == (len(maps),) == (len(masks),) == (len(kinds),):
            raise ValueError(
                f"scores, maps, masks and kinds must be of one length, not {score.shape}, {len(maps)}, "
                f"{len(masks)} and {len(kinds)}"
            )
        ignored = None if ignore is None else np.asarray(ignore, bool)
        for index, (kind, anomaly, mask) in enumerate(zip(kinds, maps, masks, strict=True)):
            if mask is None and kind != GOOD:
                self._without_mask += 1
                continue
            outline = np.zeros(anomaly.shape, np.uint8) if mask is None else mask
            if kind == GOOD and outline.any():
                raise ValueError(f"image {len(self._kinds) + index} is good, but its mask marks a defect")
            hidden = ignored[index] if ignored is not None and ignored.ndim == 3 else ignored
            self._curves.update(anomaly[None], outline[None], hidden, part=kind)
        self._scores += score.tolist()
        self._kinds += kinds

    def compute(self, seen_kinds: Collection[str]) -> Evaluation:
        """The figures of all images so far. seen_kinds: as in evaluate."""
        kind_of = np.array(self._kinds, str)
        is_defect = kind_of != GOOD
        names = sorted(set(kind_of[is_defect].tolist()))
        figures = _against_the_good(np.array(self._scores), kind_of, self._curves)
        return Evaluation(
            **asdict(figures(names)),
            seen=figures([name for name in names if name in seen_kinds]),
            unseen=figures([name for name in names if name not in seen_kinds]),
            kinds={name: figures([name]) for name in names},
            counts=Counts(
                images=len(kind_of),
                good=int(np.count_nonzero(~is_defect)),
                defective=int(np.count_nonzero(is_defect)),
                without_mask=self._without_mask,
                kinds={name: int(np.count_nonzero(kind_of == name)) for name in names},
            ),
            exact=self._curves.exact,
        )


def evaluate(
    scores: ArrayLike,
    maps: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    masks: Sequence[NDArray[np.uint8] | None] | NDArray[np.uint8],
    kinds: Sequence[str],
    seen_kinds: Collection[str],
    ignore: ArrayLike | None = None,
) -> Evaluation:
    """Figures of N test images.

    scores [N] are finite; maps are N times [H, W], float32 in [0, 1]; masks N times [H, W] in {0, 1}, or None
    for a good image and for a defect image without one; kinds [N] are "good" or a defect's kind; seen_kinds
    are those that training saw; pixels where ignore ([N, H, W] or [H, W], bool) is true count nowhere.
    Raises ProtoresError for NaN or infinity, ValueError for shapes and values that do not fit.
    """
    evaluator = Evaluator()
    evaluator.update(scores, maps, masks, kinds, ignore)
    return evaluator.compute(seen_kinds)


def _against_the_good(
    scores: NDArray[np.float64], kinds: NDArray[np.str_], curves: PixelCurves
) -> Callable[[Sequence[str]], Figures]:
    """A function that gives the figures of the named defect kinds against all good images."""

    def figures(names: Sequence[str]) -> Figures:
        chosen = np.isin(kinds, [GOOD, *names])
        images = rank(scores[chosen], kinds[chosen] != GOOD)
        pixels = curves.compute([GOOD, *names])
        return Figures(
            image_auroc=images.auroc(),
            image_ap=images.average_precision(),
            pixel_auroc=pixels.auroc,
            pixel_ap=pixels.ap,
            pro=pixels.pro,
            pixel_f1_max=None if pixels.best_f1 is None else pixels.best_f1.f1,
        )

    return figures
