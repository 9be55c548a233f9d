"""How often the stated 95 % hold, and how wide the intervals are beside the exact binomial's.

    PYTHONPATH=src OMP_NUM_THREADS=1 python benchmarks/intervals.py

Each case calibrates 20,000 times on drawn scores whose distributions, and so the true rates at any threshold, are
known: good scores are uniform, defects' are the sixth root of that. "held" is the share of calibrations whose interval
has the true rate in it; "width" is its mean width, "binomial" that of the exact binomial interval of the same counts,
"most" the largest ratio of the two.
"""

import time
from typing import Any

import numpy as np
from common import write

from protores.decision.operating_point import Costs, OperatingPoint, by_budgets, by_costs, by_hand
from protores.decision.rates import Rate, binomial_rate
from protores.decision.verdict import Thresholds

SEED = 0
CALIBRATIONS = 20_000
POWER = 6.0

BUDGETS = [
    (1, 0, 0.02, None),
    (5, 0, 0.02, None),
    (26, 0, 0.02, None),
    (200, 0, 0.02, None),
    (1000, 0, 0.02, None),
    (26, 3, 0.02, None),
    (30, 10, 0.02, 0.01),
    (100, 40, 0.05, 0.05),
    (300, 300, 0.02, 0.02),
    (40, 12, 0.2, 0.2),
    (20, 8, None, 0.1),
]
"""Good images, defects, budget of false alarms, budget of misses."""


def draw(rng: np.random.Generator, count: int, power: float) -> np.ndarray:
    return rng.random(count) ** (1 / power)


def calibrations(rng: np.random.Generator, good: int, defects: int, pick: Any) -> dict[str, Any]:
    """The figures of one case; pick(good scores, defect scores) gives an OperatingPoint."""
    rates: dict[str, list[tuple[Rate, float]]] = {"false alarms": [], "misses": []}
    for _ in range(CALIBRATIONS):
        point: OperatingPoint = pick(draw(rng, good, 1.0), draw(rng, defects, POWER))
        for what, rate, truth in (
            ("false alarms", point.false_alarms, 1 - point.thresholds.bad_above),
            ("misses", point.misses, point.thresholds.good_below**POWER),
        ):
            if rate is not None:
                rates[what].append((rate, truth))
    return {what: summary(found) for what, found in rates.items() if found}


def summary(found: list[tuple[Rate, float]]) -> dict[str, Any]:
    widths = np.array([rate.high - rate.low for rate, _ in found])
    exact = [binomial_rate(rate.errors, rate.images) for rate, _ in found]
    binomial = np.array([rate.high - rate.low for rate in exact])
    return {
        "held": float(np.mean([rate.low <= truth <= rate.high for rate, truth in found])),
        "width": float(widths.mean()),
        "binomial": float(binomial.mean()),
        "most": float((widths / binomial).max()),
        "methods": sorted({rate.method for rate, _ in found}),
    }


def main() -> None:
    began = time.perf_counter()
    rng = np.random.default_rng(SEED)
    figures = {}
    for good, defects, alarm, miss in BUDGETS:
        name = f"{good} good, {defects} defects, false alarms {alarm}, misses {miss}"
        figures[name] = calibrations(rng, good, defects, lambda g, d, a=alarm, m=miss: by_budgets(g, d, a, m))
    costs = Costs(50, 1, 0.1)
    figures["60 good, 30 defects, costs 50 : 1"] = calibrations(rng, 60, 30, lambda g, d: by_costs(g, d, costs))
    hand = Thresholds(0.5, 0.8)
    figures["50 good, 20 defects, by hand"] = calibrations(rng, 50, 20, lambda g, d: by_hand(hand, g, d))
    held = [rate["held"] for case in figures.values() for rate in case.values()]
    figures["all"] = {
        "least held": min(held),
        "mean held": float(np.mean(held)),
        "widest against the binomial": max(r["most"] for case in figures.values() for r in case.values()),
    }
    for name, case in figures.items():
        print(name, case)
    print(write("intervals", figures, seed=SEED, calibrations=CALIBRATIONS, seconds=round(time.perf_counter() - began)))


if __name__ == "__main__":
    main()
