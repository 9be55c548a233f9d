"""A verdict from a score and two thresholds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.decision.verdict import OUTCOMES, Thresholds, decide
from protores.errors import ProtoresError

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("score", "outcome"),
    [(0.0, "good"), (0.29, "good"), (0.3, "look-again"), (0.5, "look-again"), (0.6, "look-again"), (0.61, "bad")],
)
def test_good_below_the_first_bad_above_the_second(score, outcome):
    verdict = decide(score, Thresholds(0.3, 0.6))
    assert verdict is not None
    assert verdict.outcome == outcome


def test_no_thresholds_no_verdict():
    assert decide(0.5, None) is None
    assert Thresholds.of(None, None) is None
    assert Thresholds.of(0.2, 0.2) == Thresholds(0.2, 0.2)


@pytest.mark.parametrize("pair", [(None, 0.5), (0.5, None)])
def test_one_threshold_alone_is_an_error(pair):
    with pytest.raises(ProtoresError, match="set both"):
        Thresholds.of(*pair)


@pytest.mark.parametrize("pair", [(0.6, 0.3), (-0.1, 0.3), (0.3, 1.1), (float("nan"), 0.5)])
def test_what_is_no_range_is_an_error(pair):
    with pytest.raises(ProtoresError, match="good_below must be at most bad_above"):
        Thresholds(*pair)


def test_nan_is_never_a_verdict():
    with pytest.raises(ProtoresError, match="NaN"):
        decide(float("nan"), Thresholds(0.3, 0.6))


@given(shares, shares, shares, shares)
def test_a_higher_score_is_never_better(a, b, first, second):
    thresholds = Thresholds(*sorted((first, second)))
    low, high = (OUTCOMES.index(thresholds.outcome(score)) for score in sorted((a, b)))
    assert low <= high


@given(shares, shares, shares)
def test_json_says_the_same(score, first, second):
    verdict = decide(score, Thresholds(*sorted((first, second))))
    assert verdict is not None
    content = json.loads(json.dumps(verdict.to_dict()))
    assert list(content) == ["verdict", "score", "good_below", "bad_above", "above_good", "above_bad", "regions"]
    assert (content["above_good"] < 0) == (content["verdict"] == "good")
    assert (content["above_bad"] > 0) == (content["verdict"] == "bad")
