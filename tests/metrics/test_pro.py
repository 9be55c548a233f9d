"""Region weights against a flood fill, and the area under the overlap by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from protores.metrics.pro import area_under_overlap, region_weights


def flood(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """8-connected regions, as sets of pixels."""
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    regions = []
    while left:
        queue = [left.pop()]
        region = set(queue)
        while queue:
            y, x = queue.pop()
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            region |= around
            queue.extend(around)
        regions.append(region)
    return regions


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
@settings(deadline=None)
def test_weights_are_those_of_a_flood_fill(data, height, width):
    mask = data.draw(arrays(np.uint8, (height, width), elements=st.integers(0, 1)))
    ignore = data.draw(arrays(bool, (height, width)))
    expected = np.zeros(mask.shape)
    regions = [{p for p in region if not ignore[p]} for region in flood(mask)]
    for region in regions:
        for pixel in region:
            expected[pixel] = 1.0 / len(region)
    weights, count = region_weights(mask, ignore)
    np.testing.assert_array_equal(weights, expected[(mask == 1) & ~ignore])
    assert count == sum(map(bool, regions))


def test_pixels_that_touch_by_a_corner_are_one_region():
    weights, count = region_weights(np.eye(4, dtype=np.uint8))
    assert count == 1
    np.testing.assert_array_equal(weights, np.full(4, 0.25))


def test_ignored_pixels_still_connect():
    mask = np.ones((1, 5), np.uint8)
    weights, count = region_weights(mask, np.array([[False, False, True, False, False]]))
    assert count == 1
    np.testing.assert_array_equal(weights, np.full(4, 0.25))


def test_area_is_cut_at_the_limit_by_interpolation():
    # From (0, 0) straight to (0.4, 0.8), flat to (0.6, 0.8), then straight to (1, 1).
    above, at, overlap = np.array([0.0, 0.6]), np.array([0.4, 1.0]), np.array([0.8, 1.0])
    assert area_under_overlap(above, at, overlap, 0.2) == pytest.approx(0.2)
    assert area_under_overlap(above, at, overlap, 0.5) == pytest.approx((0.16 + 0.08) / 0.5)
    assert area_under_overlap(above, at, overlap, 1.0) == pytest.approx(0.16 + 0.16 + 0.36)


def test_a_perfect_map_has_one_and_a_constant_one_the_diagonal():
    assert area_under_overlap(np.zeros(1), np.zeros(1), np.ones(1), 0.3) == 1.0
    assert area_under_overlap(np.zeros(1), np.ones(1), np.ones(1), 0.3) == pytest.approx(0.15)
