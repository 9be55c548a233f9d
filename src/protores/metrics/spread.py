"""Mean and spread of a figure over seeds."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """n values, their mean, and their sample standard deviation (n - 1); None for one value."""

    n: int
    mean: float
    std: float | None


def spread(values: Iterable[float | None]) -> Spread | None:
    """None where there is no value, or one of them is undefined."""
    found = list(values)
    known = [value for value in found if value is not None]
    if not found or len(known) < len(found):
        return None
    return Spread(len(known), statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)
