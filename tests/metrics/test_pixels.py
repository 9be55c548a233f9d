"""Pixel figures against scikit-learn and a brute-force PRO; streamed ones against exact ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from sklearn import metrics as sk

from protores.errors import ProtoresError
from protores.metrics.pixels import PixelCurves, PixelFigures

GRID = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mvtec_ad" / "grid" / "ground_truth"
EDGES = [0.0, -0.0, 1.0, 0.5, 2.0**-149, 2.0**-126, 1 - 2.0**-24, 1 - 2.0**-23, 0.5 - 2.0**-26, 0.3, 0.7]
UNIT = st.one_of(st.sampled_from(EDGES), st.floats(0, 1, width=32))


def brute_force_pro(maps: np.ndarray, masks: np.ndarray, ignore: np.ndarray, limit: float) -> float | None:
    """One point of the curve for each distinct score of any pixel, region by region."""
    regions = []
    for index, mask in enumerate(masks):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        for number in range(1, count + 1):
            scores = maps[index][(labels == number) & ~ignore[index]]
            if scores.size:
                regions.append(scores)
    good = maps[(masks == 0) & ~ignore]
    if not regions or not good.size:
        return None
    x, y = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        x.append(float(np.mean(good >= threshold)))
        y.append(float(np.mean([np.mean(scores >= threshold) for scores in regions])))
    area = 0.0
    for x0, x1, y0, y1 in zip(x, x[1:], y, y[1:], strict=False):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            area += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return area / limit


def assert_right(figures: PixelFigures, maps, masks, ignore, limit: float, tolerance: float = 1e-12) -> None:
    scores, labels = maps[~ignore], masks[~ignore]
    if labels.all() or not labels.any():
        assert figures == PixelFigures(None, None, None, None)
        return
    close = {"rel": 0, "abs": tolerance}
    assert figures.auroc == pytest.approx(sk.roc_auc_score(labels, scores), **close)
    assert figures.ap == pytest.approx(sk.average_precision_score(labels, scores), **close)
    assert figures.pro == pytest.approx(brute_force_pro(maps, masks, ignore, limit), **close)
    precision, recall, _ = sk.precision_recall_curve(labels, scores)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
    assert figures.best_f1 is not None
    assert figures.best_f1.f1 == pytest.approx(f1, **close)
    flagged = scores >= np.float32(figures.best_f1.threshold)
    assert sk.f1_score(labels, flagged) == pytest.approx(f1, **close)


@st.composite
def test_sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
    few = st.sampled_from(draw(st.lists(UNIT, min_size=1, max_size=3)))
    maps = draw(arrays(np.float32, shape, elements=draw(st.sampled_from([UNIT, few])), fill=st.nothing()))
    masks = draw(arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.sampled_from([0, 1])))
    return maps, masks, draw(arrays(bool, shape, fill=st.just(False)))


test_sets.__test__ = False


def one(maps: list, masks: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([maps], np.float32), np.array([masks], np.uint8), np.zeros((1, *np.shape(masks)), bool)


@given(test_sets(), st.sampled_from([0.05, 0.3, 1.0]), st.booleans(), st.booleans())
@example(one([[0.2, 0.2, 0.2]], [[0, 1, 0]]), 0.3, False, False)  # constant map
@example(one([[0, 0, 1], [1, 0, 1]], [[0, 1, 0], [1, 0, 0]]), 0.3, False, False)  # saturated, corners touch
@example(one([[0, 0], [1, 0]], [[1, 1], [1, 1]]), 0.3, False, False)  # all defect
@example(one([[0.0, -0.0, 0.5]], [[0, 1, 0]]), 0.3, True, False)  # -0.0 ties with 0.0
@settings(deadline=None, max_examples=300)
def test_same_as_scikit_learn_and_brute_force(case, limit, streamed, apart):
    maps, masks, ignore = case
    curves = PixelCurves(pro_limit=limit, exact_pixels=0 if streamed else 1000)
    for index in range(len(maps)):
        curves.update(maps[index, None], masks[index, None], ignore[index], part=str(index) if apart else "")
    assert_right(curves.compute(), maps, masks, ignore, limit)
    assert curves.exact


@given(test_sets())
@settings(deadline=None)
def test_parts_are_as_good_as_alone(case):
    maps, masks, ignore = case
    together = PixelCurves()
    for index in range(len(maps)):
        together.update(maps[index, None], masks[index, None], ignore[index, None], part=str(index % 3))
    for names in (["0"], ["0", "1"], ["0", "2", "no such part"]):
        chosen = [i for i in range(len(maps)) if str(i % 3) in names]
        alone = PixelCurves()
        alone.update(maps[chosen], masks[chosen], ignore[chosen])
        ours, theirs = together.compute(names), alone.compute()
        assert (ours.auroc is None) == (theirs.auroc is None)
        if theirs.auroc is not None:
            assert [ours.auroc, ours.ap, ours.pro] == pytest.approx([theirs.auroc, theirs.ap, theirs.pro])
            assert ours.best_f1 == theirs.best_f1


def real_masks() -> np.ndarray:
    files = sorted(GRID.rglob("*.png"))[::6]
    masks = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in files]
    return np.stack([(cv2.resize(mask, (128, 128), interpolation=cv2.INTER_AREA) > 0) for mask in masks])


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-np.asarray(logits, np.float64)))).astype(np.float32)


def test_real_masks_with_8_bit_maps():
    masks = real_masks().astype(np.uint8)
    rng = np.random.default_rng(0)
    blurred = [cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3) for mask in masks]
    maps = sigmoid(np.stack(blurred) * 9 - 6 + rng.normal(size=masks.shape))
    maps = (maps * 255).round().astype(np.float32) / 255
    ignore = np.zeros(masks.shape, bool)
    ignore[:, :20] = True
    curves = PixelCurves()
    curves.update(maps, masks, ignore[0])
    assert_right(curves.compute(), maps, masks, ignore, 0.3)


LOGITS = {
    "skewed": lambda rng, mask: rng.normal(-8, 3, mask.shape) + mask * rng.normal(8, 3, mask.shape),
    "saturated": lambda rng, mask: rng.normal(-60, 30, mask.shape) + mask * rng.normal(70, 40, mask.shape),
    "near one": lambda rng, mask: rng.normal(12, 2, mask.shape) + 2 * mask,
    "untrained": lambda rng, mask: rng.normal(0, 0.01, mask.shape) + 0.02 * mask,
    "hopeless": lambda rng, mask: rng.normal(-3, 1, mask.shape),
}


@pytest.mark.parametrize("name", LOGITS)
def test_streamed_figures_are_within_a_ten_thousandth(name):
    masks = np.tile(real_masks(), (5, 1, 1)).astype(np.uint8)
    maps = sigmoid(LOGITS[name](np.random.default_rng(1), masks))
    exact, streamed = PixelCurves(), PixelCurves(exact_pixels=100_000, bins=2**16)
    for curves in (exact, streamed):
        curves.update(maps[::2], masks[::2], part="a")
        curves.update(maps[1::2], masks[1::2], part="b")
    true, ours = exact.compute(), streamed.compute()
    assert exact.exact
    assert streamed.exact == (name == "near one")  # there are few float32 near one
    assert true.best_f1 is not None
    assert ours.best_f1 is not None
    assert [ours.auroc, ours.ap, ours.pro, ours.best_f1.f1] == pytest.approx(
        [true.auroc, true.ap, true.pro, true.best_f1.f1], rel=0, abs=1e-4
    )


def test_figures_follow_later_updates():
    rng = np.random.default_rng(0)
    maps, masks = rng.random((6, 8, 8), dtype=np.float32), (rng.random((6, 8, 8)) < 0.2).astype(np.uint8)
    for exact_pixels in (1000, 0):
        curves = PixelCurves(exact_pixels=exact_pixels)
        for index in range(6):
            curves.update(maps[index, None], masks[index, None])
            seen = slice(index + 1)
            assert_right(curves.compute(), maps[seen], masks[seen], np.zeros(maps[seen].shape, bool), 0.3)


def test_no_pixels_are_undefined():
    undefined = PixelFigures(None, None, None, None)
    assert PixelCurves().compute() == undefined
    empty = PixelCurves()
    empty.update(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))
    assert empty.compute() == empty.compute(["no such part"]) == undefined


def test_arguments_that_do_not_fit_are_refused():
    masks = np.zeros((1, 2, 2), np.uint8)
    with pytest.raises(ProtoresError, match="1 of 4 map pixels are NaN or infinite"):
        PixelCurves().update([[[0.0, np.nan], [0.0, 0.0]]], masks)
    with pytest.raises(ValueError, match=r"maps must be in \[0, 1\], not in \[0.0, 2.0\]"):
        PixelCurves().update([[[0.0, 2.0], [0.0, 0.0]]], masks)
    with pytest.raises(ValueError, match=r"must both be \[N, H, W\]"):
        PixelCurves().update(np.zeros((1, 2, 3)), masks)
    with pytest.raises(ValueError, match="pro_limit must be"):
        PixelCurves(pro_limit=0.0)
