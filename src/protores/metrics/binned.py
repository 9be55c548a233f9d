"""Pixels counted by ordered bins, in the same memory for any number of them.

Anomaly maps are the output of a sigmoid: nearly all pixels crowd at 0, the defects' at 1, so bins of equal
width would throw together what ranks. Here a score's key is the bit pattern of the float32 itself, of s below
0.5 and of 1 - s above (an exact difference), and a bin is the leading bits of the key: about equal steps of
the logit. Bins that hold no score cost nothing, so a narrow range of scores, or one of few distinct values,
is resolved to the last bit; when the bins become too many, all keys drop one more bit. A coarser bin is a
union of finer ones, so the order of the images does not matter.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protores.metrics.kept import KeptPixels, chunks
from protores.metrics.standing import Standing, Tally

CHUNK = 2**22
"""Pixels binned at a time."""

_HALF = 126 << 23  # the bits of 0.5


def key_of(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The key in 0 .. 2**31 - 1 of each score in [0, 1] (but not -0.0), ordered and distinct as they are."""
    near_one = 2 * _HALF - (np.float32(1) - scores).view(np.int32)
    return np.where(scores < np.float32(0.5), scores.view(np.int32), near_one)


def score_of(keys: NDArray[np.int32]) -> NDArray[np.float32]:
    """The least score whose key is at least each of these."""
    from_zero = np.minimum(keys, _HALF).view(np.float32)
    to_one = (2 * _HALF - np.maximum(keys, _HALF)).view(np.float32).astype(np.float64)
    near_one = np.ceil((1.0 - to_one) * 2.0**24) / 2.0**24
    return np.where(keys <= _HALF, from_zero, near_one.astype(np.float32))


@dataclass(eq=False)
class BinnedPart:
    """Good pixels [1, K] by bin, defect pixels and their region weights [2, K] by bin."""

    good: Tally = field(default_factory=lambda: Tally(np.zeros(0, np.int32), np.zeros((1, 0))))
    defect: Tally = field(default_factory=lambda: Tally(np.zeros(0, np.int32), np.zeros((2, 0))))
    regions: int = 0


class BinnedPixels:
    """At most `limit` bins in all parts together, whose keys have dropped their last `shift` bits."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.shift = 0
        self.parts: dict[str, BinnedPart] = {}

    def take(self, kept: KeptPixels) -> None:
        """Counts all pixels of these."""
        for name, source in kept.parts.items():
            part = self.parts.setdefault(name, BinnedPart())
            good, defect, weights = source.joined()
            for scores in chunks(good, CHUNK):
                keys, counts = np.unique(key_of(scores) >> self.shift, return_counts=True)
                part.good += Tally(keys, counts[None].astype(np.float64))
                self._coarsen()
            part.defect += Tally.of(key_of(defect) >> self.shift, np.ones(len(defect)), weights)
            self._coarsen()
            part.regions += source.regions

    def standings(self) -> tuple[NDArray[np.float32], dict[str, Standing]]:
        """The least score of each bin that holds defect pixels, and each part's standing at these bins."""
        bins = np.unique(np.concatenate([part.defect.keys for part in self.parts.values()]))
        standings = {}
        for name, part in self.parts.items():
            running = np.concatenate(([0.0], np.cumsum(part.good.sums[0])))
            below = running[np.searchsorted(part.good.keys, bins, "left")]
            up_to = running[np.searchsorted(part.good.keys, bins, "right")]
            standings[name] = Standing.at(bins, part.defect, below, up_to, int(running[-1]), part.regions)
        return score_of(bins << self.shift), standings

    def _coarsen(self) -> None:
        while sum(len(part.good) + len(part.defect) for part in self.parts.values()) > self.limit:
            self.shift += 1
            for part in self.parts.values():
                part.good = Tally.grouped(part.good.keys >> 1, part.good.sums)
                part.defect = Tally.grouped(part.defect.keys >> 1, part.defect.sums)
