"""AUROC, average precision and best F1 against scikit-learn."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from protores.errors import ProtoresError
from protores.metrics.ranking import auroc, average_precision, best_f1, rank

SCORES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.5, np.nextafter(0.5, 1), 5e-324, -1e300, 1e300]),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 60))
    few = draw(st.lists(SCORES, min_size=1, max_size=4))
    values = draw(st.sampled_from([SCORES, st.sampled_from(few)]))
    return draw(arrays(np.float64, size, elements=values)), draw(
        arrays(np.uint8, size, elements=st.integers(0, 1))
    )


@given(ranked())
@example((np.zeros(5), np.array([0, 1, 0, 1, 1])))
@example((np.array([0.0, -0.0, 1.0]), np.array([0, 1, 1])))
@settings(deadline=None)
def test_same_as_scikit_learn(case):
    scores, labels = case
    assume(0 < labels.sum() < len(labels))
    assert auroc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(scores, labels) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-12
    )
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = best_f1(scores, labels)
    assert best is not None
    assert best.f1 == pytest.approx(f1.max(), abs=1e-12)
    assert sk.f1_score(labels, scores >= best.threshold) == pytest.approx(best.f1, abs=1e-12)


@given(ranked())
def test_only_the_order_matters(case):
    scores, labels = case
    order = np.unique(scores, return_inverse=True)[1]
    ours, by_order = rank(scores, labels), rank(order, labels)
    assert ours.auroc() == by_order.auroc()
    assert ours.average_precision() == by_order.average_precision()


def test_ten_thousand_scores_with_ties():
    rng = np.random.default_rng(0)
    labels = rng.random(10_000) < 0.05
    scores = np.round(rng.normal(labels * 1.5, 1.0), 1)
    assert auroc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-13)
    assert average_precision(scores, labels) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-13
    )


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("figure", [auroc, average_precision, best_f1])
def test_one_class_alone_is_undefined(figure, size, label):
    assert figure(np.linspace(0, 1, size), np.full(size, label)) is None


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(broken):
    with pytest.raises(ProtoresError, match=r"^1 of 3 scores are NaN or infinite: .*lower learning rate$"):
        auroc([0.0, broken, 1.0], [0, 1, 1])


@pytest.mark.parametrize(
    ("scores", "labels"), [([0.1, 0.2], [1]), ([[0.1, 0.2]], [[0, 1]]), ([0.1, 0.2], [0, 255])]
)
def test_arguments_that_do_not_fit_are_refused(scores, labels):
    with pytest.raises(ValueError, match=r"scores and labels|labels must"):
        average_precision(scores, labels)
