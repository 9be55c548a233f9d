"""Intervals against scipy's distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from protores.decision.rates import (
    beta_quantile,
    binomial_bounds,
    binomial_rate,
    conformal_rate,
    images_needed,
    most_beyond,
)

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_binomial_is_clopper_and_pearsons(case):
    errors, images = case
    rate = binomial_rate(errors, images)
    expected = binomtest(errors, images).proportion_ci(0.95, "exact")
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert rate.expected == errors / images
    low, high = binomial_bounds(images)
    assert (low[errors], high[errors]) == pytest.approx((rate.low, rate.high), abs=1e-12)


@given(counts.filter(lambda case: case[0] < case[1]))
def test_conformal_is_the_middle_of_its_beta_distribution(case):
    beyond, images = case
    rate, known = conformal_rate(beyond, images), beta(beyond + 1, images - beyond)
    assert known.cdf(rate.high) - known.cdf(rate.low) == pytest.approx(0.95, abs=1e-9)
    assert known.cdf(rate.low) == pytest.approx(0.025, abs=1e-9)
    assert rate.expected == pytest.approx(known.mean())
    binomial = binomial_rate(beyond, images)
    assert rate.high == pytest.approx(binomial.high)
    assert rate.low > binomial.low


@pytest.mark.parametrize("images", [1000, 5000])
def test_thousands_of_images(images):
    low, high = binomial_bounds(1000)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    assert beta_quantile(0.975, 8, images) == pytest.approx(beta(8, images).ppf(0.975), rel=1e-9)


@pytest.mark.parametrize("budget", [0.001, 0.01, 0.02, 0.1, 0.5])
def test_as_many_images_as_are_needed_can_promise(budget):
    needed = images_needed(budget)
    assert most_beyond(budget, needed) == 0
    assert most_beyond(budget, needed - 1) is None
    more = most_beyond(budget, 3 * needed)
    assert more
    assert conformal_rate(more, 3 * needed).high <= budget < conformal_rate(more + 1, 3 * needed).high


def test_the_numbers_of_the_docs():
    """docs/thresholds.md has them."""
    assert images_needed(0.02) == 183
    assert images_needed(0.01) == 368
