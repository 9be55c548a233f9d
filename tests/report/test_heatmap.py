"""Colours mean the same in every picture, good parts look like themselves, outlines hide nothing."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protores.report.heatmap import TRUTH, colour, colour_bar, contours, overlay, resize_mask

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def spot(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    for top, left, h, w in boxes:
        mask[top : top + h, left : left + w] = 1
    return mask


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_a_value_has_one_colour_whatever_else_is_in_the_map(value: float, other: float) -> None:
    a = np.array([[value, other]], np.float32)
    b = np.full((3, 5), value, np.float32)
    assert (colour(a, 0.1, 0.9)[0, 0] == colour(b, 0.1, 0.9)).all()


def test_lightness_rises_with_the_value() -> None:
    lightness = cv2.cvtColor(colour_bar(256, 1), cv2.COLOR_RGB2Lab)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= -1).all()  # 8-bit Lab rounds
    assert lightness[0] < 5
    assert lightness[-1] > 240
    values = np.linspace(0, 1, 256, dtype=np.float32)
    assert (colour(values[None])[0] == colour_bar(256, 1)[0]).all()


def test_values_beyond_the_scale_are_its_ends_and_nan_is_none() -> None:
    found = colour(np.array([[-5, 0.2, 0.6, 7, np.nan]], np.float32), 0.2, 0.6)[0]
    assert (found[[0, 1]] == colour_bar(2, 1)[0, 0]).all()
    assert (found[[2, 3]] == colour_bar(2, 1)[0, 1]).all()
    assert (found[4] == found[0]).all()
    with pytest.raises(ValueError, match="high must be greater"):
        colour(np.zeros((2, 2), np.float32), 0.5, 0.5)


def test_nothing_found_leaves_the_image_as_it_was() -> None:
    assert (overlay(IMAGE, np.zeros((40, 60), np.float32)) == IMAGE).all()
    assert (overlay(IMAGE, np.full((40, 60), 0.3, np.float32), low=0.3) == IMAGE).all()


def test_overlay_grows_with_the_value_up_to_its_opacity() -> None:
    gray = np.full((1, 101, 3), 128, np.uint8)
    values = np.linspace(0, 1, 101, dtype=np.float32)[None]
    top = overlay(gray, values, opacity=0.6)[0, -1].astype(float)
    assert np.allclose(top, 128 + 0.6 * (colour_bar(2, 1)[0, 1].astype(float) - 128), atol=1)
    assert (overlay(gray, values, opacity=1.0)[0, -1] == colour_bar(2, 1)[0, 1]).all()
    share = values[0, :, None] * 0.6
    expected = 128 * (1 - share) + colour(values)[0] * share
    assert np.abs(overlay(gray, values, opacity=0.6)[0] - expected).max() <= 1


@pytest.mark.parametrize("thickness", [1, 2])
def test_outline_runs_around_the_mask_and_hides_nothing(thickness: int) -> None:
    mask = spot(40, 60, (5, 5, 1, 1), (12, 20, 9, 15), (30, 50, 10, 10))
    outlined = contours(IMAGE, mask, TRUTH, thickness)
    changed = (outlined != IMAGE).any(axis=2)
    far = cv2.distanceTransform(1 - mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert not changed[mask == 1].any()
    assert (outlined[changed] == TRUTH).all()
    assert (outlined[(far > 0) & (far <= thickness)] == TRUTH).all()
    assert not changed[far > thickness * 1.5].any()
    assert (contours(IMAGE, np.zeros_like(mask)) == IMAGE).all()
    assert (contours(IMAGE, np.ones_like(mask)) == IMAGE).all()


@given(st.integers(0, 39), st.integers(0, 59), st.integers(4, 120), st.integers(4, 120))
def test_one_pixel_survives_any_resizing(row: int, column: int, height: int, width: int) -> None:
    mask = spot(40, 60, (row, column, 1, 1))
    resized = resize_mask(mask, (height, width))
    assert resized.shape == (height, width)
    assert set(np.unique(resized)) <= {0, 1}
    assert resized.any()
    y, x = np.argwhere(resized).mean(axis=0) + 0.5
    assert abs(y / height - (row + 0.5) / 40) <= 1 / height + 1 / 40
    assert abs(x / width - (column + 0.5) / 60) <= 1 / width + 1 / 60


def test_a_mask_of_another_size_outlines_the_same_place() -> None:
    large = cv2.resize(IMAGE, (240, 160))
    small_mask = spot(40, 60, (10, 10, 5, 5))
    assert (contours(large, small_mask) == contours(large, spot(160, 240, (40, 40, 20, 20)))).all()
