"""Thresholds by budgets, costs and hand: where they lie, and that the intervals hold in simulated calibrations."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protores.decision.operating_point import Costs, OperatingPoint, by_budgets, by_costs, by_hand
from protores.decision.rates import Rate, binomial_rate, conformal_rate
from protores.decision.verdict import Thresholds
from protores.errors import ProtoresError

NONE = np.zeros(0, np.float32)


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def sets_of(least: int):
    return arrays.arrays(np.float32, st.integers(least, 40), elements=st.floats(0, 1, width=32))


# Where the thresholds lie


def test_no_defects_the_false_alarm_budget_alone(rng):
    good = rng.random(400, np.float32)
    point = by_budgets(good, NONE, 0.02, 0.01)
    assert point.misses is None
    assert point.miss_promise is None
    assert point.thresholds.good_below == point.thresholds.bad_above
    assert (good > point.thresholds.bad_above).sum() == point.false_alarms.errors > 0
    assert point.false_alarms.method == "split conformal"
    assert point.false_alarm_promise.kept
    assert point.false_alarms.high <= 0.02 < conformal_rate(point.false_alarms.errors + 1, 400).high
    assert point.looks == (0.0, None)


def test_too_few_images_are_said_to_be_too_few(rng):
    good = rng.random(26, np.float32)
    point = by_budgets(good, NONE, 0.02, None)
    promise = point.false_alarm_promise
    assert not promise.kept
    assert promise.needed == 183
    assert promise.best == point.false_alarms.high == pytest.approx(1 - 0.025 ** (1 / 26))
    assert not (good > point.thresholds.bad_above).any()
    assert point.false_alarms.expected == pytest.approx(1 / 27)


def test_overlapping_scores_leave_a_zone_to_look_at(rng):
    good, defects = rng.random(1000, np.float32), rng.random(1000, np.float32) * np.float32(0.9) + np.float32(0.1)
    point = by_budgets(good, defects, 0.02, 0.02)
    assert point.thresholds.good_below < 0.2 < 0.9 < point.thresholds.bad_above
    assert (point.misses.method, point.false_alarms.method) == ("split conformal", "split conformal")
    assert point.miss_promise.kept
    assert point.looks[0] == pytest.approx(0.9, abs=0.1)


def test_separate_scores_need_one_threshold(rng):
    good, defects = rng.random(200, np.float32) * np.float32(0.3), scores(0.7, 0.8, 0.9)
    point = by_budgets(good, defects, 0.02, 0.01)
    assert point.thresholds.good_below == point.thresholds.bad_above < 0.3
    assert point.misses == binomial_rate(0, 3)
    assert not point.miss_promise.kept
    assert point.miss_promise.needed == 368


def test_misses_alone_are_promised_from_the_defects(rng):
    good, defects = rng.random(50, np.float32), rng.random(500, np.float32)
    point = by_budgets(good, defects, None, 0.05)
    assert point.misses.method == "split conformal"
    assert point.misses.errors == (defects < point.thresholds.good_below).sum() > 0
    assert point.false_alarms == binomial_rate(int((good > point.thresholds.bad_above).sum()), 50)
    assert point.false_alarm_promise is None


@given(sets_of(1), sets_of(1), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_whatever_the_scores_the_counts_are_those_at_the_thresholds(good, defects, alarm, miss):
    for budgets in ((alarm, miss), (alarm, None), (None, miss)):
        point = by_budgets(good, defects, *budgets)
        at, there = point.thresholds, by_hand(point.thresholds, good, defects)
        if at.bad_above < 1:
            assert point.false_alarms.errors == there.false_alarms.errors
        if at.good_below > 0:
            assert point.misses.errors == there.misses.errors
        for rate in (point.false_alarms, point.misses):
            assert 0 <= rate.low < rate.high <= 1


@given(sets_of(2), sets_of(2), st.floats(0.01, 100), st.floats(0.01, 0.99))
def test_costs_pick_the_cheapest_threshold(good, defects, miss, defect_rate):
    costs = Costs(miss, 1.0, defect_rate)
    both = by_costs(np.concatenate((good, good)), np.concatenate((defects, defects)), costs)
    assert both.thresholds.good_below == both.thresholds.bad_above

    def cost(threshold, g, d):
        return defect_rate * miss * (d < threshold).mean() + (1 - defect_rate) * (g > threshold).mean()

    picks, bads = (
        np.concatenate((a, a))[np.random.default_rng(2 * len(a)).permutation(2 * len(a))[::2]].astype(np.float64)
        for a in (good, defects)
    )
    between = np.nextafter(np.concatenate((picks, bads)), 2)
    least = min(cost(t, picks, bads) for t in (0.0, 1.0, *between[between <= 1]))
    assert cost(both.thresholds.good_below, picks, bads) <= least + 1e-9


def test_looking_again_where_it_pays(rng):
    good, defects = rng.normal(0.4, 0.1, 2000).astype(np.float32), rng.normal(0.6, 0.1, 2000).astype(np.float32)
    two = by_costs(good, defects, Costs(10.0, 10.0, 0.5, look=1.0))
    assert two.thresholds.good_below == pytest.approx(0.39, abs=0.03)  # where defects are 1 in 10
    assert two.thresholds.bad_above == pytest.approx(0.61, abs=0.03)
    one = by_costs(good, defects, Costs(10.0, 10.0, 0.5, look=5.5))
    assert one.thresholds.good_below == one.thresholds.bad_above == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("good", "defects"), [(NONE, NONE), (scores(0.5), NONE), (scores(0.1, 0.2), scores(0.9))])
def test_costs_need_both_classes(good, defects):
    with pytest.raises(ProtoresError, match="use --max-false-alarm"):
        by_costs(good, defects, Costs(50, 1, 0.1))


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1, 2.0])
def test_a_budget_is_a_share(budget):
    with pytest.raises(ProtoresError, match="between 0 and 1"):
        by_budgets(scores(0.1), NONE, budget, None)


def test_no_images_no_threshold():
    with pytest.raises(ProtoresError, match="add good images"):
        by_budgets(NONE, scores(0.4), 0.02, None)


# The intervals hold


@dataclass(frozen=True)
class Case:
    good: int
    defects: int
    max_false_alarm: float | None = 0.02
    max_miss: float | None = None
    costs: Costs | None = None
    levels: int | None = None
    """Scores are rounded to so many levels, so that they tie."""

    def calibrate(self, rng: np.random.Generator) -> OperatingPoint:
        good, defects = draw(rng, self.good, 1.0, self.levels), draw(rng, self.defects, POWER, self.levels)
        if self.costs:
            return by_costs(good, defects, self.costs)
        if self.max_false_alarm is None and self.max_miss is None:
            return by_hand(Thresholds(0.5, 0.8), good, defects)
        return by_budgets(good, defects, self.max_false_alarm, self.max_miss)


POWER = 6.0
"""Good scores are uniform, defects' are the sixth root of that: P(score < t) is t and t^6."""
CASES = [
    Case(1, 0),
    Case(5, 0),
    Case(26, 0),
    Case(400, 0),
    Case(26, 3),
    Case(30, 10, 0.02, 0.01),
    Case(100, 40, 0.05, 0.05),
    Case(300, 300, 0.02, 0.02),
    Case(40, 12, 0.2, 0.2),
    Case(20, 8, None, 0.1),
    Case(60, 30, costs=Costs(50, 1, 0.1)),
    Case(60, 30, costs=Costs(50, 10, 0.1, look=2)),
    Case(50, 20, None, None),
    Case(100, 60, 0.1, 0.1, levels=12),
]


def draw(rng: np.random.Generator, count: int, power: float, levels: int | None) -> np.ndarray:
    found = rng.random(count) ** (1 / power)
    return (np.ceil(found * levels) / levels if levels else found).astype(np.float32)


def true_rates(thresholds: Thresholds, levels: int | None) -> tuple[float, float]:
    """Of false alarms and of misses, from the distributions' own formulas."""
    above, below = thresholds.bad_above, thresholds.good_below
    if levels:
        grid = (np.arange(levels + 1) / levels).astype(np.float32).astype(np.float64)
        above, below = grid[grid <= thresholds.bad_above].max(), grid[grid < thresholds.good_below].max(initial=0)
    return 1 - float(above), float(below) ** POWER


def test_in_5000_simulated_calibrations_the_stated_95_percent_hold():
    """benchmarks/intervals.py does it more often, for each case apart."""
    rng = np.random.default_rng(0)
    held, wider = [], 0
    for number in range(5000):
        case = CASES[number % len(CASES)]
        point = case.calibrate(rng)
        truths = true_rates(point.thresholds, case.levels)
        for rate, truth in zip((point.false_alarms, point.misses), truths, strict=True):
            if rate is None:
                continue
            held.append(rate.low <= truth <= rate.high)
            wider += width(rate) > width(binomial_rate(rate.errors, rate.images)) + 1e-9 and case.levels is None
    assert np.mean(held) >= 0.945
    assert len(held) > 8000
    assert not wider


@pytest.mark.parametrize("case", CASES, ids=str)
def test_neither_end_fails_more_than_it_may(case):
    """Each end may fail in 2.5 %; 600 draws would show 5 %."""
    rng = np.random.default_rng(1)
    low, high = np.zeros(2), np.zeros(2)
    for _ in range(600):
        point = case.calibrate(rng)
        for k, truth in enumerate(true_rates(point.thresholds, case.levels)):
            rate = (point.false_alarms, point.misses)[k]
            if rate is not None:
                low[k] += truth < rate.low
                high[k] += truth > rate.high
    assert max(*low, *high) < 600 * 0.05


def width(rate: Rate) -> float:
    return rate.high - rate.low
