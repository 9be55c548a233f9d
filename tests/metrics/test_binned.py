"""Keys that order scores, and bins that stay few."""

import tracemalloc

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from protores.metrics.binned import BinnedPixels, key_of, score_of
from protores.metrics.kept import KeptPixels
from protores.metrics.pixels import PixelCurves

UNIT = st.floats(0, 1, width=32).map(abs)


@given(UNIT, UNIT)
@example(1.0, float(np.nextafter(np.float32(1), np.float32(0))))
@example(0.5, float(np.nextafter(np.float32(0.5), np.float32(0))))
@example(0.5, float(np.nextafter(np.float32(0.5), np.float32(1))))
@example(0.0, 2.0**-149)
def test_keys_are_ordered_as_the_scores(first, second):
    low, high = key_of(np.array([first, second], np.float32)).tolist()
    assert (low < high) == (first < second)
    assert (low == high) == (first == second)
    assert min(low, high) >= 0


@given(UNIT, st.integers(0, 20))
@example(1.0, 12)
def test_a_bin_starts_at_its_least_score(score, shift):
    value = np.array([score], np.float32)
    edge = score_of(key_of(value) >> shift << shift)
    assert edge <= value
    assert key_of(edge) >> shift == key_of(value) >> shift
    below = np.nextafter(edge, np.float32(-1))
    assert below < 0 or key_of(below) >> shift < key_of(value) >> shift


def images(rng: np.random.Generator, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    maps = 1 / (1 + np.exp(-rng.normal(-4, 4, (count, 64, 64)).astype(np.float32)))
    return [(scores, rng.random((64, 64)) < 0.02) for scores in maps]


def binned(batches: list[list[tuple[np.ndarray, np.ndarray]]], limit: int) -> BinnedPixels:
    bins = BinnedPixels(limit)
    for batch in batches:
        kept = KeptPixels()
        for scores, mask in batch:
            kept.add("", scores, mask, None)
        bins.take(kept)
    return bins


def test_the_order_of_the_images_does_not_matter():
    cases = images(np.random.default_rng(0), 12)
    one = binned([cases[:6], cases[6:]], 3000)
    other = binned([[case] for case in cases[::-1]], 3000)
    assert one.shift == other.shift > 0
    np.testing.assert_array_equal(one.parts[""].good.keys, other.parts[""].good.keys)
    np.testing.assert_array_equal(one.parts[""].good.sums, other.parts[""].good.sums)
    np.testing.assert_allclose(one.parts[""].defect.sums, other.parts[""].defect.sums, rtol=1e-12)


def test_few_distinct_scores_are_never_merged():
    rng = np.random.default_rng(0)
    cases = [(np.float32(0.5) + scores.round(2) / 1000, mask) for scores, mask in images(rng, 4)]
    assert binned([cases], 300).shift == 0


def test_memory_does_not_grow_with_the_images():
    rng = np.random.default_rng(0)

    def peak(count: int) -> int:
        curves = PixelCurves(exact_pixels=20_000, bins=5000)
        tracemalloc.start()
        for _ in range(count):
            [(scores, mask)] = images(rng, 1)
            curves.update(scores[None], mask[None])
            curves.compute()
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(60) < 1.2 * peak(15)
