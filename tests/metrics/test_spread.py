"""Mean and spread over seeds, against the standard library."""

import statistics

import pytest

from protores.metrics.spread import Spread, spread


def test_mean_and_sample_deviation():
    values = [0.9, 0.92, 0.97]
    assert spread(values) == Spread(3, pytest.approx(sum(values) / 3), pytest.approx(statistics.stdev(values)))


def test_one_value_has_no_spread_and_none_is_none():
    assert spread([0.5]) == Spread(1, 0.5, None)
    assert spread([0.5, None]) is None
    assert spread([]) is None
