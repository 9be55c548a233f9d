"""Bins that keep the order of scores in [0, 1], as fine near 1 as near 0.

Anomaly maps are the output of a sigmoid: nearly all pixels crowd at 0, the defects' at 1, so bins of equal
width would throw together what ranks. Here a bin is the leading bits of the float32 itself, of s below 0.5
and of 1 - s above (an exact difference), so its width is at most 2**-PRECISION of the distance to the nearer
end: about equal steps of the logit. Within 2**(PRECISION - 24) of 1 every float32 has its own bin.
"""

import numpy as np
from numpy.typing import NDArray

PRECISION = 13
"""Leading bits of the mantissa that tell bins apart."""

_SHIFT = 23 - PRECISION
_HALF = 126 << PRECISION  # the bin of 0.5
_LAST = (103 << PRECISION) - 1  # as if 1 - s were just below 2**-24, the least that is not 0
BINS = 2 * _HALF - _LAST + 1


def bin_of(scores: NDArray[np.float32]) -> NDArray[np.int32]:
    """The bin in 0 .. BINS - 1 of each score in [0, 1]; never falls where the score rises."""
    low = scores.view(np.int32) >> _SHIFT
    high = 2 * _HALF - np.maximum((np.float32(1) - scores).view(np.int32) >> _SHIFT, _LAST)
    return np.where(scores < np.float32(0.5), low, high)


def lower_edge(bins: NDArray[np.integer]) -> NDArray[np.float32]:
    """The least score in each bin that holds any float32 (near 1 a bin may lie between two)."""
    index = np.asarray(bins, np.int32)
    low = (np.minimum(index, _HALF) << _SHIFT).view(np.float32)
    to_one = (((2 * _HALF - np.maximum(index, _HALF) + 1) << _SHIFT) - 1).view(np.float32)
    high = np.ceil((1.0 - to_one.astype(np.float64)) * 2.0**24) / 2.0**24
    return np.where(index <= _HALF, low, high.astype(np.float32))
