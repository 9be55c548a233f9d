"""Means of the surroundings against NumPy, and what they leave alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.model.context import STRIDE, WINDOW, with_context


def test_every_eighth_mean_is_that_of_the_window_cut_at_the_border():
    maps = torch.rand(2, 64, 96, generator=torch.Generator().manual_seed(0))
    # Between the centres of the cells the means are bilinear: four pixels around a centre average to its mean.
    found = (with_context(maps, 0.5) - 0.5 * maps).numpy() / 0.5
    for row, column in ((0, 0), (3, 5), (7, 11)):
        centre_y, centre_x = row * STRIDE + STRIDE // 2, column * STRIDE + STRIDE // 2
        rows = slice(max(0, centre_y - WINDOW // 2), centre_y + WINDOW // 2)
        columns = slice(max(0, centre_x - WINDOW // 2), centre_x + WINDOW // 2)
        expected = maps.numpy()[:, rows, columns].mean((1, 2))
        around = found[:, centre_y - 1 : centre_y + 1, centre_x - 1 : centre_x + 1]
        np.testing.assert_allclose(around.mean((1, 2)), expected, atol=5e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 0.99), st.sampled_from([(32, 32), (64, 96), (256, 32)]))
def test_stays_in_range_and_leaves_a_constant_map_alone(seed, share, size):
    maps = torch.rand(2, *size, generator=torch.Generator().manual_seed(seed))
    found = with_context(maps, share)
    assert found.shape == maps.shape
    assert found.min() >= maps.min() - 1e-6
    assert found.max() <= maps.max() + 1e-6
    torch.testing.assert_close(with_context(torch.full((1, *size), 0.3), share), torch.full((1, *size), 0.3))


def test_no_share_changes_nothing():
    maps = torch.rand(1, 32, 32)
    assert with_context(maps, 0.0) is maps


def test_a_lone_pixel_falls_behind_one_among_many():
    maps = torch.zeros(1, 128, 128)
    maps[0, 20, 20] = 0.6
    maps[0, 60:110, 60:110] = 0.55
    found = with_context(maps, 0.2)
    assert found[0, 85, 85] > found[0, 20, 20]
    assert found[0, 20, 20] == pytest.approx(0.48, abs=1e-3)
