"""Pixels kept as they are, by parts of the test set, for exact figures.

Good pixels are never compared with each other: those whose score shares its leading bits with no defect pixel
are only counted, the others are sorted and searched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protores.metrics.pro import region_weights
from protores.metrics.standing import Standing, Tally

_CHUNK = 2**20  # pixels compared at a time
_SHIFT = 9
_PREFIXES = (0x3F800000 >> _SHIFT) + 1  # the leading bits of 1.0, and one


@dataclass(eq=False)
class KeptPart:
    """Scores of good and of defect pixels, the latter with their region weights; how many regions."""

    good: list[NDArray[np.float32]] = field(default_factory=list)
    defect: list[NDArray[np.float32]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)
    regions: int = 0

    def joined(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        """Good scores, defect scores and weights, each as one array."""
        self.good, self.defect = [_joined(self.good)], [_joined(self.defect)]
        return self.good[0], self.defect[0], np.concatenate([np.zeros(0), *self.weights])


class KeptPixels:
    """parts by name, and the number of pixels in all of them."""

    def __init__(self) -> None:
        self.parts: dict[str, KeptPart] = {}
        self.pixels = 0

    def add(
        self,
        name: str,
        scores: NDArray[np.float32],
        mask: NDArray[np.bool_],
        ignored: NDArray[np.bool_] | None,
    ) -> None:
        """Adds the pixels [H, W] of one image to a part."""
        part = self.parts.setdefault(name, KeptPart())
        good, defect = (~mask, mask) if ignored is None else (~(mask | ignored), mask & ~ignored)
        part.good.append(scores[good])
        self.pixels += len(part.good[-1])
        if mask.any():
            weights, regions = region_weights(mask.view(np.uint8), ignored)
            part.defect.append(scores[defect])
            part.weights.append(weights)
            part.regions += regions
            self.pixels += len(weights)

    def standings(self) -> tuple[NDArray[np.float32], dict[str, Standing]]:
        """The distinct scores of all defect pixels, and each part's standing at them."""
        tallies = {}
        for name, part in self.parts.items():
            _, defect, weights = part.joined()
            tallies[name] = Tally.of(defect, np.ones(len(defect)), weights)
        values = np.unique(np.concatenate([np.zeros(0, np.float32), *(t.keys for t in tallies.values())]))
        standings = {}
        for name, part in self.parts.items():
            good = part.good[0]
            standings[name] = Standing.at(
                values, tallies[name], *_count_below(good, values), len(good), part.regions
            )
        return values, standings


def chunks(scores: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    """The scores [N] in pieces of at most `size`."""
    return (scores[start : start + size] for start in range(0, len(scores), size))


def _count_below(
    scores: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many scores are < and <= each of the values, which are ascending and distinct."""
    prefixes = values.view(np.int32) >> _SHIFT
    shared = np.zeros(_PREFIXES, bool)
    shared[prefixes] = True
    elsewhere = np.zeros(_PREFIXES)
    close = [np.zeros(0, np.float32)]
    for chunk in chunks(scores, _CHUNK):
        prefix = chunk.view(np.int32) >> _SHIFT
        elsewhere += np.bincount(prefix, minlength=_PREFIXES)
        close.append(chunk[shared[prefix]])
    elsewhere[shared] = 0.0
    others, near = np.cumsum(elsewhere)[prefixes], np.sort(np.concatenate(close))
    return others + np.searchsorted(near, values, "left"), others + np.searchsorted(near, values, "right")


def _joined(arrays: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    joined = np.concatenate([np.zeros(0, np.float32), *arrays])
    return np.abs(joined, out=joined)  # -0.0 has other bits than 0.0
