"""The curves of the report as points: image ROC, image precision over recall, and pixel overlap (PRO)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protores.data.sample import GOOD
from protores.decision.inspected import Inspected
from protores.metrics.pixels import PixelCurves
from protores.metrics.pro import PRO_LIMIT, overlap_curve, region_weights
from protores.metrics.ranking import rank

Points = list[tuple[float, float]]
MOST_POINTS = 400


@dataclass(frozen=True)
class Curves:
    """Points in [0, 1]; None where images of one class, or masks, are missing. at: where the map threshold lies on
    the PRO curve."""

    roc: Points | None
    precision: Points | None
    pro: Points | None
    at: tuple[float, float] | None


def curves(images: Sequence[Inspected], map_threshold: float | None) -> Curves:
    """Those of labelled images."""
    ranking = rank([one.score for one in images], [one.kind != GOOD for one in images])
    roc = precision = None
    if ranking.defined:
        hits, above, alarms = (np.asarray(n, np.float64) for n in (ranking.hits, ranking.above, ranking.alarms))
        share = hits / ranking.positives
        roc = _points(*overlap_curve(above / ranking.negatives, alarms / ranking.negatives, share))
        precision = _points(share, hits / (hits + alarms))
    pixels = PixelCurves()
    masked = [one for one in images if one.mask is not None or one.kind == GOOD]
    for one in masked:
        pixels.update(one.result.network_map[None], _mask(one)[None], _hidden(one))
    overlap = pixels.overlap_curve()
    pro = at = None
    if overlap is not None:
        inside = overlap[0] <= PRO_LIMIT
        ends = PRO_LIMIT, float(np.interp(PRO_LIMIT, *overlap))
        pro = [*_points(overlap[0][inside], overlap[1][inside]), ends]
        at = None if map_threshold is None else _at(masked, map_threshold)
    return Curves(roc, precision, pro, at)


def _at(images: Sequence[Inspected], threshold: float) -> tuple[float, float] | None:
    """False-positive rate and mean overlap of the regions at a map threshold."""
    overlap, regions, alarms, good = 0.0, 0, 0, 0
    for one in images:
        mask, hidden, flagged = _mask(one), _hidden(one), one.result.network_map >= threshold
        counted = np.ones_like(flagged) if hidden is None else ~hidden
        defect = (mask > 0) & counted
        weights, count = region_weights(mask, hidden)
        overlap += float(weights @ flagged[defect])
        regions += count
        clean = (mask == 0) & counted
        alarms += int(np.count_nonzero(flagged & clean))
        good += int(np.count_nonzero(clean))
    return (alarms / good, overlap / regions) if good and regions else None


def _mask(one: Inspected) -> NDArray[np.uint8]:
    return np.zeros(one.result.network_map.shape, np.uint8) if one.mask is None else one.mask


def _hidden(one: Inspected) -> NDArray[np.bool_] | None:
    return None if one.valid is None else ~one.valid


def _points(x: NDArray[np.floating], y: NDArray[np.floating]) -> Points:
    """At most MOST_POINTS of the corners, evenly along the curve; with its first and last."""
    if len(x) > MOST_POINTS:
        along = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
        picked = np.unique(np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS)))
        x, y = x[picked], y[picked]
    return [(round(float(a), 5), round(float(b), 5)) for a, b in zip(x, y, strict=True)]
