"""Where the thresholds go, by error budgets, by costs or by hand, and the error rates to expect there.

Which interval is sound depends on which images picked the threshold (docs/thresholds.md):

- `bad_above` by a budget of false alarms is one of the sorted good scores: its false alarms are conformal. Defects had
  no part in it: misses there are binomial.
- `good_below` by a budget of misses is one of the sorted defect scores: the same with the classes exchanged. With both
  budgets it is the lower of the two, and the misses have the interval of the one that it is.
- Costs look at both classes: half of each picks the threshold, the other half gives binomial rates.
- By hand, before these images were seen: binomial.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protores.decision.rates import Rate, binomial_rate, conformal_rate, images_needed, most_beyond
from protores.decision.verdict import Thresholds
from protores.errors import ProtoresError

Scores = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Promise:
    """A budget, and whether `images` images can promise it: whether the whole 95 % interval is within it."""

    budget: float
    kept: bool
    best: float
    """The upper end of the interval at the threshold that was picked."""
    images: int
    needed: int
    """Images that could promise it with not one error among them."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Costs:
    """What a miss, a false alarm and a second look cost, in any currency; the share of defects in the parts to come."""

    miss: float
    false_alarm: float
    defect_rate: float
    look: float | None = None

    def __post_init__(self) -> None:
        if min(self.miss, self.false_alarm) <= 0 or (self.look is not None and self.look <= 0):
            raise ProtoresError("costs must be greater than 0; leave --cost-look away if nobody looks again")
        if not 0 < self.defect_rate < 1:
            raise ProtoresError(f"a defect rate of {self.defect_rate} leaves nothing to weigh; give one within 0 and 1")

    @property
    def looking_pays(self) -> bool:
        """Whether any part is better looked at than decided on."""
        return self.look is not None and self.look * (self.miss + self.false_alarm) < self.miss * self.false_alarm


@dataclass(frozen=True)
class OperatingPoint:
    """Two thresholds and the rates there; None where there is no image of that class.

    false_alarms: good images that are called bad. misses: defects that are called good. looks: shares of the good
    and of the defect images that lie between, as they are here, without an interval.
    """

    thresholds: Thresholds
    false_alarms: Rate | None
    misses: Rate | None
    looks: tuple[float | None, float | None]
    false_alarm_promise: Promise | None = None
    miss_promise: Promise | None = None


def by_budgets(good: Scores, defects: Scores, max_false_alarm: float | None, max_miss: float | None) -> OperatingPoint:
    """Thresholds that promise the budgets, shares in (0, 1), or as near to it as these images can.

    good, defects: scores in [0, 1], any number. A budget is only used where its class has images; at least one must
    be. Where a budget cannot be promised, the threshold is the score that promises the most.
    """
    upper = lower = alarm = miss = None
    if max_false_alarm is not None and len(good):
        upper, alarm = _beyond(np.sort(good)[::-1], max_false_alarm)
    if max_miss is not None and len(defects):
        lower, miss = _beyond(np.sort(defects), max_miss)
    if upper is not None and lower is not None and lower.score <= upper.score:
        thresholds, misses = Thresholds(lower.score, upper.score), lower.rate
    elif upper is not None:
        thresholds, misses = _single(math.nextafter(upper.score, 1)), None
    elif lower is not None:
        thresholds, misses = _single(math.nextafter(lower.score, 0)), lower.rate
    else:
        raise ProtoresError("no image to pick a threshold from; add good images, or defects and --max-miss")
    there = by_hand(thresholds, good, defects)
    alarms, misses = upper.rate if upper else there.false_alarms, misses or there.misses
    if miss and misses:
        miss = replace(miss, kept=misses.high <= miss.budget, best=misses.high)
    return OperatingPoint(thresholds, alarms, misses, there.looks, alarm, miss)


def by_costs(good: Scores, defects: Scores, costs: Costs) -> OperatingPoint:
    """The thresholds that cost the least on half of the images, with the rates on the other half.

    The halves are drawn from the number of images alone, so the same images give the same. Raises ProtoresError for
    fewer than two of a class.
    """
    if min(len(good), len(defects)) < 2:
        raise ProtoresError(
            f"costs weigh misses against false alarms and need 2 images of each class, not {len(good)} good and "
            f"{len(defects)} with defects; use --max-false-alarm"
        )
    (good_picks, good_tells), (defect_picks, defect_tells) = _halves(good), _halves(defects)
    odds = (1 - costs.defect_rate) / costs.defect_rate
    if costs.look is not None and costs.looking_pays:
        weights = costs.look / (costs.miss - costs.look), (costs.false_alarm - costs.look) / costs.look
        thresholds = Thresholds(*sorted(_cheapest(good_picks, defect_picks, odds * weight) for weight in weights))
    else:
        thresholds = _single(_cheapest(good_picks, defect_picks, odds * costs.false_alarm / costs.miss))
    return by_hand(thresholds, good_tells, defect_tells)


def by_hand(thresholds: Thresholds, good: Scores, defects: Scores) -> OperatingPoint:
    """The rates at thresholds that these images had no part in."""
    good, defects = np.asarray(good, np.float64), np.asarray(defects, np.float64)  # as finely as a threshold is
    alarms, misses = (good > thresholds.bad_above), (defects < thresholds.good_below)
    return OperatingPoint(
        thresholds,
        binomial_rate(int(alarms.sum()), len(good)) if len(good) else None,
        binomial_rate(int(misses.sum()), len(defects)) if len(defects) else None,
        (_between(thresholds, good), _between(thresholds, defects)),
    )


@dataclass(frozen=True)
class _Picked:
    """One of the sorted scores as a threshold, and the rate beyond it."""

    score: float
    rate: Rate


def _beyond(ranked: Scores, budget: float) -> tuple[_Picked, Promise]:
    """The threshold with the most scores before it, in their order, that the budget allows; else the first score."""
    if not 0 < budget < 1:
        raise ProtoresError(f"a budget of {budget} is no share of errors; give one between 0 and 1, e.g. 0.02")
    images = len(ranked)
    beyond = most_beyond(budget, images) or 0
    score = ranked[beyond]
    ties = np.flatnonzero(ranked == score)
    rate = conformal_rate(beyond, images, int(ties[0]) if len(ties) > 1 else None)
    return _Picked(float(score), rate), Promise(budget, rate.high <= budget, rate.high, images, images_needed(budget))


def _single(threshold: float) -> Thresholds:
    return Thresholds(threshold, threshold)


def _between(thresholds: Thresholds, scores: Scores) -> float | None:
    inside = (scores >= thresholds.good_below) & (scores <= thresholds.bad_above)
    return float(inside.mean()) if len(scores) else None


def _halves(scores: Scores) -> tuple[Scores, Scores]:
    order = np.random.default_rng(len(scores)).permutation(len(scores))
    scores = np.asarray(scores, np.float64)
    return scores[order[::2]], scores[order[1::2]]


def _cheapest(good: Scores, defects: Scores, weight: float) -> float:
    """The threshold with the least (share of defects below) + weight x (share of good images above).

    In the middle of a gap between scores, of the widest where several are equally cheap.
    """
    scores = np.unique(np.concatenate(([0.0], good, defects, [1.0])))
    candidates = np.concatenate(([0.0], (scores[:-1] + scores[1:]) / 2, [1.0]))
    missed = np.searchsorted(np.sort(defects), candidates, "left") / len(defects)
    alarms = 1 - np.searchsorted(np.sort(good), candidates, "right") / len(good)
    cost = missed + weight * alarms
    room = np.where(cost <= cost.min() * (1 + 1e-12), np.concatenate(([0.0], np.diff(scores), [0.0])), -1.0)
    return float(candidates[np.argmax(room)])
