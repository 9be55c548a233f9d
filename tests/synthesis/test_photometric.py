"""Photometric operations."""

from typing import get_args

import numpy as np
import pytest

from protores.settings import PhotometricOperation, SynthesisSettings
from protores.synthesis import photometric


@pytest.mark.parametrize("name", sorted(photometric.OPERATIONS))
def test_keeps_shape_type_and_gray(name: str, grid: np.ndarray) -> None:
    for seed in range(5):
        out = photometric.OPERATIONS[name](grid[0], np.random.default_rng(seed))
        assert out.shape == grid[0].shape
        assert out.dtype == np.uint8
        assert np.ptp(out.astype(int), axis=2).max() == 0


@pytest.mark.parametrize("name", sorted(photometric.OPERATIONS))
def test_changes_a_coloured_image_and_only_a_copy(name: str) -> None:
    image = np.random.default_rng(0).integers(60, 180, (32, 48, 3), dtype=np.uint8)
    kept = image.copy()
    out = photometric.OPERATIONS[name](image, np.random.default_rng(1))
    assert (out != image).any()
    np.testing.assert_array_equal(image, kept)


def test_settings_name_every_operation() -> None:
    assert set(get_args(PhotometricOperation)) == set(photometric.OPERATIONS)
    assert set(SynthesisSettings().photometric) == set(photometric.OPERATIONS)


def test_each_follows_its_probabilities(grid: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(photometric.each(grid[0], {"invert": 1.0, "blur": 0.0}, rng), 255 - grid[0])
    inverted = [(photometric.each(grid[0], {"invert": 0.3}, rng) != grid[0]).any() for _ in range(400)]
    assert 0.22 < np.mean(inverted) < 0.38
