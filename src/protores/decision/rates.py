"""A rate and how well n images know it: exact intervals from two sources (docs/thresholds.md has the reasons).

Binomial: x of n images err at a threshold that they had no part in. Clopper and Pearson, Biometrika 26 (1934).

Conformal: the threshold is itself the one of the n sorted scores that leaves x beyond it, x fixed beforehand. The true
rate beyond it is then Beta(x + 1, n - x) distributed, whatever the scores' distribution: Vovk, "Conditional validity of
inductive conformal predictors", ACML 2012; Angelopoulos and Bates, "A gentle introduction to conformal prediction",
2021, section 3.2. The interval is that distribution's middle 95 %: its upper end is the binomial one, its lower end
lies above the binomial one.

Both need images drawn like those to come. Where another score ties with the threshold, the lower end is the binomial
one of the scores that lie truly beyond, which holds for any distribution.
"""

import bisect
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_TAIL = (1 - CONFIDENCE) / 2
Method = Literal["exact binomial", "split conformal"]


@dataclass(frozen=True)
class Rate:
    """A rate in [0, 1]: the expected one, its 95 % interval low to high, and the `errors` of `images` behind it."""

    expected: float
    low: float
    high: float
    errors: int
    images: int
    method: Method

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def binomial_rate(errors: int, images: int) -> Rate:
    """The rate where `errors` of `images` (at least 1) err at a threshold that they had no part in."""
    low = 0.0 if errors == 0 else beta_quantile(_TAIL, errors, images - errors + 1)
    high = 1.0 if errors == images else beta_quantile(1 - _TAIL, errors + 1, images - errors)
    return Rate(errors / images, low, high, errors, images, "exact binomial")


def conformal_rate(beyond: int, images: int, truly_beyond: int | None = None) -> Rate:
    """The rate beyond the one of the sorted scores that leaves `beyond` (fewer than images) of them behind it.

    truly_beyond: where others tie with that score, how many are not equal to it.
    """
    if truly_beyond is None:
        low, errors = beta_quantile(_TAIL, beyond + 1, images - beyond), beyond
    else:
        low, errors = binomial_rate(truly_beyond, images).low, truly_beyond
    high = beta_quantile(1 - _TAIL, beyond + 1, images - beyond)
    return Rate((beyond + 1) / (images + 1), low, high, errors, images, "split conformal")


def binomial_bounds(images: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the exact binomial interval at 0, 1, ..., images errors."""
    errors = np.arange(1, images + 1)
    parts = np.array_split(errors, 1 + images // 256)
    high = np.append(np.concatenate([_quantiles(1 - _TAIL, part, images) for part in parts]), 1.0)
    return 1.0 - high[::-1], high


@lru_cache(maxsize=256)
def most_beyond(budget: float, images: int) -> int | None:
    """How many scores may lie beyond a threshold so that the whole interval is within the budget; None: not even 0."""
    fits = bisect.bisect_right(range(images), budget, key=lambda x: beta_quantile(1 - _TAIL, x + 1, images - x))
    return fits - 1 if fits else None


def images_needed(budget: float) -> int:
    """How many images can promise a rate of at most `budget`, in (0, 1), if none of them lies beyond."""
    return math.ceil(math.log(_TAIL) / math.log1p(-budget))


@lru_cache(maxsize=4096)
def beta_quantile(share: float, a: int, b: int) -> float:
    """The point that a Beta(a, b) variable, a and b whole and at least 1, stays below with probability `share`."""
    return float(_quantiles(share, np.array([a]), a + b - 1)[0])


def _quantiles(share: float, least: NDArray[np.int64], images: int) -> NDArray[np.float64]:
    """The p at which Binomial(images, p) reaches `least` with probability `share`: the quantile of
    Beta(least, images - least + 1). Bisected to the last bits, so that no library of special functions is needed."""
    n = np.arange(images + 1)
    ways = np.array([math.lgamma(images + 1) - math.lgamma(k + 1) - math.lgamma(images - k + 1) for k in n])
    low, high = np.zeros(len(least)), np.ones(len(least))
    for _ in range(50):
        middle = (low + high) / 2
        logs = ways + n * np.log(middle)[:, None] + (images - n) * np.log1p(-middle)[:, None]
        reached = (np.exp(logs) * (n >= least[:, None])).sum(axis=1) >= share
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return (low + high) / 2
