"""Pixel AUROC, average precision, best F1 and PRO of a test set, from one pass over its maps.

The distinct scores of the defect pixels are the only thresholds at which anything but the number of false
positives changes; so the four figures follow from where these scores stand among the good pixels. That is
counted without a curve over all pixels: good pixels whose score shares its leading bits with no defect pixel
are only counted, the others are sorted and searched. Up to EXACT_PIXELS pixels are kept and the figures are
exact. Beyond, all scores fall into ordered bins (bins.py) that need the same memory for any number of pixels,
equal bins count as equal scores, and the figures are within 1e-4.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protores.metrics.bins import BINS, bin_of, lower_edge
from protores.metrics.pro import PRO_LIMIT, area_under_overlap, region_weights
from protores.metrics.ranking import BestF1, Ranking, require_finite

EXACT_PIXELS = 2**26
"""Pixels up to which figures are exact: 1,024 maps of 256x256, kept in 4 bytes each."""

_CHUNK = 2**22  # pixels worked on at a time
_PREFIX_SHIFT = 10
_PREFIXES = (0x3F800000 >> _PREFIX_SHIFT) + 1  # leading bits of 1.0, and one


@dataclass(frozen=True)
class PixelFigures:
    """Each in [0, 1], or None where the pixels are all good or all defect. exact: see the module."""

    auroc: float | None
    ap: float | None
    pro: float | None
    best_f1: BestF1 | None
    exact: bool


@dataclass(frozen=True, eq=False)
class _Counts:
    """One part's pixels at T thresholds that all parts share, ascending, and its totals."""

    hits: NDArray[np.int64]
    overlap: NDArray[np.float64]
    above: NDArray[np.int64]
    alarms: NDArray[np.int64]
    negatives: int
    regions: int

    def __add__(self, other: "_Counts") -> "_Counts":
        return _Counts(
            self.hits + other.hits,
            self.overlap + other.overlap,
            self.above + other.above,
            self.alarms + other.alarms,
            self.negatives + other.negatives,
            self.regions + other.regions,
        )


@dataclass(eq=False)
class _Histogram:
    """Pixels per bin: defect, their region weights, good."""

    hits: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    overlap: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    negatives: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))


@dataclass(eq=False)
class _Part:
    """The pixels of one part of the test set: as they came, and those already folded into the histogram."""

    negatives: list[NDArray[np.float32]] = field(default_factory=list)
    positives: list[NDArray[np.float32]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)
    regions: int = 0
    histogram: _Histogram | None = None

    def fold(self) -> _Histogram:
        """Moves the kept pixels into the histogram."""
        histogram = self.histogram = self.histogram or _Histogram()
        if self.positives:
            bins = bin_of(_joined(self.positives))
            histogram.hits += np.bincount(bins, minlength=BINS)
            histogram.overlap += _sums(bins, self.weights, BINS)
        if self.negatives:
            histogram.negatives += np.bincount(bin_of(_joined(self.negatives)), minlength=BINS)
        self.negatives, self.positives, self.weights = [], [], []
        return histogram


class PixelCurves:
    """Collects maps by parts (the good images, each kind of defect) and gives figures of any parts together.

    pro_limit is the false-positive rate in (0, 1] up to which PRO is integrated.
    """

    def __init__(self, pro_limit: float = PRO_LIMIT, exact_pixels: int = EXACT_PIXELS) -> None:
        if not 0.0 < pro_limit <= 1.0:
            raise ValueError(f"pro_limit must be in (0, 1], not {pro_limit}")
        self.pro_limit = pro_limit
        self.exact_pixels = exact_pixels
        self._parts: dict[str, _Part] = {}
        self._kept = 0
        self._exact = True
        self._table: tuple[NDArray[np.float32], dict[str, _Counts]] | None = None

    @property
    def exact(self) -> bool:
        """Whether all pixels so far are kept as they are."""
        return self._exact

    def update(
        self, maps: ArrayLike, masks: ArrayLike, ignore: ArrayLike | None = None, part: str = ""
    ) -> None:
        """Adds maps [N, H, W] (float32 in [0, 1]) with masks [N, H, W] ({0, 1}, 1 = defect) to a part.

        Pixels where ignore (bool, [N, H, W] or [H, W]) is true count nowhere: neither as good nor in the area
        of a region. Raises ProtoresError for NaN or infinity, ValueError for other shapes or values.
        """
        scores = np.asarray(maps, np.float32)
        defect = np.asarray(masks) != 0
        if scores.ndim != 3 or scores.shape != defect.shape:
            raise ValueError(f"maps and masks must both be [N, H, W], not {scores.shape} and {defect.shape}")
        if scores.size and not (scores.min() >= 0.0 and scores.max() <= 1.0):
            require_finite(scores, "map pixels")
            raise ValueError(f"maps must be in [0, 1], not in [{scores.min()}, {scores.max()}]")
        ignored = None if ignore is None else np.broadcast_to(np.asarray(ignore, bool), scores.shape)
        group = self._parts.setdefault(part, _Part())
        for index, (score, mask) in enumerate(zip(scores, defect, strict=True)):
            self._add(group, score, mask, None if ignored is None else ignored[index])
        self._table = None

    def compute(self, parts: Iterable[str] | None = None) -> PixelFigures:
        """Figures of the named parts together, of everything by default; a part never added has no pixels."""
        if self._table is None:
            self._table = self._count_exactly() if self._exact else self._count_bins()
        values, counts = self._table
        chosen = [counts[name] for name in (counts if parts is None else set(parts) & counts.keys())]
        if not chosen:
            return PixelFigures(None, None, None, None, self._exact)
        total = reduce(add, chosen)
        used = np.flatnonzero(total.hits)[::-1]
        hits, above, alarms = np.cumsum(total.hits[used]), total.above[used], total.alarms[used]
        ranking = Ranking(values[used], hits, above, alarms, total.negatives)
        pro = None
        if ranking.defined:
            overlap = np.cumsum(total.overlap[used]) / total.regions
            rates = above / total.negatives, alarms / total.negatives
            pro = area_under_overlap(*rates, overlap, self.pro_limit)
        return PixelFigures(ranking.auroc(), ranking.average_precision(), pro, ranking.best_f1(), self._exact)

    def _add(
        self,
        part: _Part,
        score: NDArray[np.float32],
        defect: NDArray[np.bool_],
        ignored: NDArray[np.bool_] | None,
    ) -> None:
        good = ~defect if ignored is None else ~(defect | ignored)
        part.negatives.append(score[good])
        self._kept += len(part.negatives[-1])
        if defect.any():
            weights, regions = region_weights(defect.view(np.uint8), ignored)
            part.positives.append(score[defect if ignored is None else defect & ~ignored])
            part.weights.append(weights)
            part.regions += regions
            self._kept += len(weights)
        if self._kept > (self.exact_pixels if self._exact else _CHUNK):
            self._fold()

    def _fold(self) -> None:
        for part in self._parts.values():
            part.fold()
        self._exact = False
        self._kept = 0

    def _count_exactly(self) -> tuple[NDArray[np.float32], dict[str, _Counts]]:
        positives = {name: _joined(part.positives) for name, part in self._parts.items()}
        values, places = np.unique(_joined(list(positives.values())), return_inverse=True)
        ends = np.cumsum([len(p) for p in positives.values()])[:-1]
        counts = {}
        for (name, part), place in zip(self._parts.items(), np.split(places, ends), strict=True):
            negatives = _joined(part.negatives)
            part.negatives = [negatives]
            below, up_to = _count_below(negatives, values)
            counts[name] = _Counts(
                hits=np.bincount(place, minlength=len(values)),
                overlap=_sums(place, part.weights, len(values)),
                above=len(negatives) - up_to,
                alarms=len(negatives) - below,
                negatives=len(negatives),
                regions=part.regions,
            )
        return values, counts

    def _count_bins(self) -> tuple[NDArray[np.float32], dict[str, _Counts]]:
        histograms = {name: part.fold() for name, part in self._parts.items()}
        used = np.flatnonzero(sum(h.hits for h in histograms.values()))
        counts = {}
        for name, histogram in histograms.items():
            alarms = np.cumsum(histogram.negatives[::-1])[::-1]
            counts[name] = _Counts(
                hits=histogram.hits[used],
                overlap=histogram.overlap[used],
                above=(alarms - histogram.negatives)[used],
                alarms=alarms[used],
                negatives=int(alarms[0]),
                regions=self._parts[name].regions,
            )
        return lower_edge(used), counts


def _joined(arrays: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    joined = np.concatenate(arrays) if arrays else np.zeros(0, np.float32)
    return np.abs(joined, out=joined)  # -0.0 has other bits than 0.0


def _sums(
    places: NDArray[np.integer], weights: list[NDArray[np.float64]], length: int
) -> NDArray[np.float64]:
    joined = np.concatenate([np.zeros(0), *weights])
    return np.bincount(places, joined, minlength=length).astype(np.float64)


def _count_below(
    negatives: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many negatives are < and <= each of the values, which are ascending and distinct.

    Only negatives that share their leading bits with a value are sorted; it halves the time or better.
    """
    wanted = values.view(np.int32) >> _PREFIX_SHIFT
    shared = np.zeros(_PREFIXES, bool)
    shared[wanted] = True
    elsewhere = np.zeros(_PREFIXES, np.int64)
    close = []
    for start in range(0, len(negatives), _CHUNK):
        chunk = negatives[start : start + _CHUNK]
        prefixes = chunk.view(np.int32) >> _PREFIX_SHIFT
        elsewhere += np.bincount(prefixes, minlength=_PREFIXES)
        close.append(chunk[shared[prefixes]])
    elsewhere[shared] = 0
    others = np.cumsum(elsewhere)[wanted]
    close = np.sort(np.concatenate([np.zeros(0, np.float32), *close]))
    return others + np.searchsorted(close, values, "left"), others + np.searchsorted(close, values, "right")
