"""What is asked for may not contradict itself."""

import pytest

from protores.decision.request import USUAL_FALSE_ALARM, USUAL_MISS, Request
from protores.errors import ProtoresError


@pytest.mark.parametrize(
    ("asked", "cure"),
    [
        ({"max_miss": 0.1, "good_below": 0.1, "bad_above": 0.2}, "pass one of them"),
        ({"max_miss": 0.1, "cost_miss": 1.0, "cost_false_alarm": 1.0}, "pass one of them"),
        ({"cost_miss": 1.0}, "pass both --cost-miss and --cost-false-alarm"),
        ({"cost_look": 1.0}, "pass both --cost-miss and --cost-false-alarm"),
        ({"good_below": 0.3}, "pass both --good-below and --bad-above"),
        ({"mm_per_px": 0.0}, "give the side of a pixel"),
        ({"min_area": -1.0}, "give 0"),
    ],
)
def test_contradictions_are_errors(asked, cure):
    with pytest.raises(ProtoresError, match=cure):
        Request(**asked)


def test_budgets():
    assert Request().budgets == (USUAL_FALSE_ALARM, USUAL_MISS)
    assert Request(max_false_alarm=0.1).budgets == (0.1, None)
    assert Request(max_miss=0.1).budgets == (None, 0.1)


def test_changes_alone_pick_no_threshold():
    assert Request(min_area=20.0).changes_only
    assert not Request().changes_only
    assert not Request(min_area=20.0, max_miss=0.1).changes_only
