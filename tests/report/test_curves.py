"""The curves that are drawn are those whose areas are told."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from protores.data.sample import GOOD
from protores.metrics.evaluation import evaluate
from protores.metrics.pro import PRO_LIMIT
from protores.report.curves import MOST_POINTS, curves


@pytest.fixture
def figures(inspected):
    scores, maps = [one.score for one in inspected], [one.result.network_map for one in inspected]
    return evaluate(scores, maps, [one.mask for one in inspected], [one.kind for one in inspected], set())


def area(points) -> float:
    x, y = np.array(points).T
    return float(np.trapezoid(y, x))


def test_areas(inspected, figures):
    drawn = curves(inspected, 0.9)
    assert area(drawn.roc) == pytest.approx(figures.image_auroc, abs=1e-4)
    assert area(drawn.pro) / PRO_LIMIT == pytest.approx(figures.pro, abs=2e-3)
    assert len(drawn.pro) <= MOST_POINTS + 1


def test_precision_and_recall_are_scikit_learns(inspected):
    labels = [one.kind != GOOD for one in inspected]
    precision, recall, _ = precision_recall_curve(labels, [one.score for one in inspected])
    known = set(zip(recall.round(5).tolist(), precision.round(5).tolist(), strict=True))
    assert set(curves(inspected, None).precision) <= known


def test_the_map_threshold_lies_on_its_curve(inspected):
    thresholds = np.quantile([one.result.network_map for one in inspected], [0.99, 0.97, 0.9])
    drawn = curves(inspected, None)
    for threshold in thresholds:
        x, y = curves(inspected, float(threshold)).at
        assert np.interp(x, *np.array(drawn.pro).T) == pytest.approx(y, abs=0.02)


def test_pixels_that_do_not_count_are_left_out(inspected):
    valid = np.zeros((64, 64), bool)
    valid[:, :32] = True
    half = [replace(one, valid=valid) for one in inspected]
    x, _ = curves(half, 0.0).at
    assert x == 1.0


@pytest.mark.parametrize("good", [True, False])
def test_one_class_alone_has_no_curve(inspected, good):
    drawn = curves([one for one in inspected if (one.kind == GOOD) == good], 0.9)
    assert drawn.roc is None
    assert drawn.precision is None
