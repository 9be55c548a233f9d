"""Pixel AUROC, average precision, best F1 and PRO of a test set, from one pass over its maps.

The distinct scores of the defect pixels are the only thresholds at which anything but the number of false
positives changes, so all four figures follow from where these scores stand among the good pixels. Up to
EXACT_PIXELS pixels are kept (kept.py) and the figures are exact. Beyond, scores fall into at most BINS
ordered bins (binned.py), in the same memory for any number of pixels; scores in one bin count as equal, and
the figures are within 1e-4 of the exact ones. BINS is ample for that unless the scores that decide crowd in a
few thousandths of the range while the others are spread over all of it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protores.metrics.binned import CHUNK, BinnedPixels
from protores.metrics.kept import KeptPixels
from protores.metrics.pro import PRO_LIMIT, area_under_overlap, overlap_curve
from protores.metrics.ranking import BestF1, Ranking, require_finite
from protores.metrics.standing import Standing

EXACT_PIXELS = 2**26
"""Pixels up to which figures are exact: 1,024 maps of 256x256, kept in 4 bytes each."""
BINS = 2**22
"""Bins beyond that, in all parts together: about 100 MB."""


@dataclass(frozen=True)
class PixelFigures:
    """Each in [0, 1], or None where the pixels are all good or all defect."""

    auroc: float | None
    ap: float | None
    pro: float | None
    best_f1: BestF1 | None


class PixelCurves:
    """Collects maps by parts (the good images, each kind of defect) and gives figures of any parts together.

    pro_limit is the false-positive rate in (0, 1] up to which PRO is integrated.
    """

    def __init__(
        self, pro_limit: float = PRO_LIMIT, exact_pixels: int = EXACT_PIXELS, bins: int = BINS
    ) -> None:
        if not 0.0 < pro_limit <= 1.0:
            raise ValueError(f"pro_limit must be in (0, 1], not {pro_limit}")
        self._pro_limit = pro_limit
        self._exact_pixels = exact_pixels
        self._bins = bins
        self._kept = KeptPixels()
        self._binned: BinnedPixels | None = None
        self._standings: tuple[NDArray[np.float32], dict[str, Standing]] | None = None

    @property
    def exact(self) -> bool:
        """Whether, so far, no two different scores share a bin."""
        return self._binned is None or self._binned.shift == 0

    def update(
        self, maps: ArrayLike, masks: ArrayLike, ignore: ArrayLike | None = None, part: str = ""
    ) -> None:
        """Adds maps [N, H, W] (float32 in [0, 1]) with masks [N, H, W] ({0, 1}, 1 = defect) to a part.

        Pixels where ignore (bool, [N, H, W] or [H, W]) is true count nowhere: neither as good nor in the area
        of a region. Raises ProtoresError for NaN or infinity, ValueError for other shapes or values.
        """
        scores, defect = np.asarray(maps, np.float32), np.asarray(masks) != 0
        if scores.ndim != 3 or scores.shape != defect.shape:
            raise ValueError(f"maps and masks must both be [N, H, W], not {scores.shape} and {defect.shape}")
        if scores.size and not (scores.min() >= 0.0 and scores.max() <= 1.0):
            require_finite(scores, "map pixels")
            raise ValueError(f"maps must be in [0, 1], not in [{scores.min()}, {scores.max()}]")
        hidden = None if ignore is None else np.broadcast_to(np.asarray(ignore, bool), scores.shape)
        self._standings = None
        for index in range(len(scores)):
            self._kept.add(part, scores[index], defect[index], None if hidden is None else hidden[index])
            if self._kept.pixels > (self._exact_pixels if self._binned is None else CHUNK):
                self._bin()

    def compute(self, parts: Collection[str] | None = None) -> PixelFigures:
        """Figures of the named parts together, of everything by default; a part never added has no pixels."""
        scores, standings = self._standings or self._sum_up()
        chosen = [standing for name, standing in standings.items() if parts is None or name in parts]
        if not chosen:
            return PixelFigures(None, None, None, None)
        total = reduce(add, chosen)
        at = np.flatnonzero(total.hits)[::-1]
        hits = np.cumsum(total.hits[at])
        ranking = Ranking(scores[at], hits, total.above[at], total.alarms[at], total.negatives)
        pro = area_under_overlap(*_overlap(total, at), self._pro_limit) if ranking.defined else None
        return PixelFigures(ranking.auroc(), ranking.average_precision(), pro, ranking.best_f1())

    def overlap_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The curve under which PRO is the area, of everything, as pro.overlap_curve gives it; None: undefined."""
        scores, standings = self._standings or self._sum_up()
        if not standings:
            return None
        total = reduce(add, standings.values())
        at = np.flatnonzero(total.hits)[::-1]
        return overlap_curve(*_overlap(total, at)) if len(at) and total.negatives else None

    def _sum_up(self) -> tuple[NDArray[np.float32], dict[str, Standing]]:
        self._standings = self._kept.standings() if self._binned is None else self._bin().standings()
        return self._standings

    def _bin(self) -> BinnedPixels:
        """Moves all kept pixels into the bins."""
        binned = self._binned = self._binned or BinnedPixels(self._bins)
        binned.take(self._kept)
        self._kept = KeptPixels()
        return binned


def _overlap(total: Standing, at: NDArray[np.intp]) -> tuple[NDArray[np.float64], ...]:
    """What pro.overlap_curve takes, at the scores of these places, the highest first."""
    return (
        total.above[at] / total.negatives,
        total.alarms[at] / total.negatives,
        np.cumsum(total.overlap[at]) / total.regions,
    )
