"""AUROC, average precision and best F1, exact with ties.

All three follow from one count: for each distinct score of a positive, how many positives lie at or above it
and how many negatives lie above it and at it. Negatives need no order among themselves, so nothing is sorted
by pairs and no threshold is sampled. Average precision is scikit-learn's step sum, without interpolation.
A figure for which a class is missing is None ("undefined").
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protores.errors import ProtoresError


@dataclass(frozen=True)
class BestF1:
    """The best F1 of "score >= threshold is a defect", and the highest threshold that reaches it."""

    f1: float
    threshold: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """Where the positives stand among the negatives.

    thresholds [T] are the positives' distinct scores, the highest first; hits [T] counts the positives at or
    above each, above [T] the negatives above it, alarms [T] the negatives at or above it; negatives is how
    many there are.
    """

    thresholds: NDArray[np.floating]
    hits: NDArray[np.number]
    above: NDArray[np.number]
    alarms: NDArray[np.number]
    negatives: int

    @property
    def positives(self) -> int:
        return int(self.hits[-1]) if len(self.hits) else 0

    @property
    def defined(self) -> bool:
        """Whether both classes are there."""
        return self.positives > 0 and self.negatives > 0

    def auroc(self) -> float | None:
        """Chance that a positive scores higher than a negative, ties counting half."""
        if not self.defined:
            return None
        beaten = 1.0 - (self.above + self.alarms) / (2.0 * self.negatives)
        return float(self._gained @ beaten / self.positives)

    def average_precision(self) -> float | None:
        """Precision averaged over the recall gained at each threshold."""
        if not self.defined:
            return None
        precision = self.hits / (self.hits + self.alarms)
        return float(self._gained @ precision / self.positives)

    def best_f1(self) -> BestF1 | None:
        """The threshold is always a positive's score: no other can be better."""
        if not self.defined:
            return None
        f1 = 2.0 * self.hits / (self.hits + self.alarms + self.positives)
        best = int(np.argmax(f1))
        return BestF1(float(f1[best]), float(self.thresholds[best]))

    @property
    def _gained(self) -> NDArray[np.float64]:
        return np.diff(self.hits, prepend=0).astype(np.float64)


def rank(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """The ranking of scores [N] (finite, any range) by labels [N] (bool or {0, 1}, 1 = defect).

    Raises ProtoresError for scores that are not finite, ValueError for other shapes or labels.
    """
    score, label = np.asarray(scores, np.float64), np.asarray(labels)
    if score.ndim != 1 or score.shape != label.shape:
        raise ValueError(f"scores and labels must both be [N], not {score.shape} and {label.shape}")
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 (good) or 1 (defect)")
    require_finite(score, "scores")
    is_positive = label.astype(bool)
    values, counts = np.unique(score[is_positive], return_counts=True)
    negatives = np.sort(score[~is_positive])
    return Ranking(
        thresholds=values[::-1],
        hits=np.cumsum(counts[::-1]),
        above=len(negatives) - np.searchsorted(negatives, values, "right")[::-1],
        alarms=len(negatives) - np.searchsorted(negatives, values, "left")[::-1],
        negatives=len(negatives),
    )


def require_finite(values: NDArray[Any], name: str) -> None:
    """Raises ProtoresError where a value is NaN or infinite."""
    if not np.isfinite(values).all():
        broken = int(values.size - np.isfinite(values).sum())
        raise ProtoresError(
            f"{broken} of {values.size} {name} are NaN or infinite: the network diverged, "
            "train it again with a lower learning rate"
        )


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Area under the ROC curve in [0, 1], None where a class is missing; as for `rank`."""
    return rank(scores, labels).auroc()


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """Area under precision over recall in [0, 1], None where a class is missing; as for `rank`."""
    return rank(scores, labels).average_precision()


def best_f1(scores: ArrayLike, labels: ArrayLike) -> BestF1 | None:
    """The best F1 over all thresholds, None where a class is missing; as for `rank`."""
    return rank(scores, labels).best_f1()
