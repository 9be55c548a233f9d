"""Sums over equal scores, and where the good pixels of a part of the test set stand among the defects'."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tally:
    """C sums [C, K] over the pixels at K keys [K], ascending and distinct."""

    keys: NDArray[Any]
    sums: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, keys: NDArray[Any], *terms: NDArray[np.float64]) -> "Tally":
        """The sums of C terms [N] over pixels [N] with equal keys, in any order."""
        order = np.argsort(keys, kind="stable")  # quick where keys are two sorted runs
        return cls.grouped(keys[order], np.stack(terms)[:, order])

    @classmethod
    def grouped(cls, keys: NDArray[Any], sums: NDArray[np.float64]) -> "Tally":
        """The same for sorted keys [N] and terms [C, N]."""
        if not len(keys):
            return cls(keys, sums)
        starts = np.concatenate(([0], np.flatnonzero(keys[1:] != keys[:-1]) + 1))
        return cls(keys[starts], np.add.reduceat(sums, starts, axis=1))

    def __add__(self, other: "Tally") -> "Tally":
        keys = np.concatenate((self.keys, other.keys))
        return Tally.of(keys, *np.concatenate((self.sums, other.sums), axis=1))


@dataclass(frozen=True, eq=False)
class Standing:
    """A part's pixels at T scores that all parts share, ascending.

    hits [T] and overlap [T] sum the defect pixels and their region weights at each score; above [T] and
    alarms [T] count the good pixels above it and at or above it; negatives and regions are the part's totals.
    """

    hits: NDArray[np.float64]
    overlap: NDArray[np.float64]
    above: NDArray[np.float64]
    alarms: NDArray[np.float64]
    negatives: int
    regions: int

    @classmethod
    def at(
        cls,
        values: NDArray[Any],
        defect: Tally,
        below: NDArray[np.float64],
        up_to: NDArray[np.float64],
        negatives: int,
        regions: int,
    ) -> "Standing":
        """From the defects' count and weights at some of the values and the good pixels < and <= each."""
        sums = np.zeros((2, len(values)))
        sums[:, np.searchsorted(values, defect.keys)] = defect.sums
        return cls(sums[0], sums[1], negatives - up_to, negatives - below, negatives, regions)

    def __add__(self, other: "Standing") -> "Standing":
        return Standing(
            self.hits + other.hits,
            self.overlap + other.overlap,
            self.above + other.above,
            self.alarms + other.alarms,
            self.negatives + other.negatives,
            self.regions + other.regions,
        )
