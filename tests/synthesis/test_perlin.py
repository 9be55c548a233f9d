"""Perlin noise against a plain second implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.synthesis.perlin import perlin, perlin_mask


def plain_perlin(size: tuple[int, int], grid: tuple[int, int], angle: np.ndarray) -> np.ndarray:
    """Pixel by pixel, as in the literature, from the angles of the nodes' gradients."""
    noise = np.zeros(size)
    for row in range(size[0]):
        for column in range(size[1]):
            y, x = row * grid[0] / size[0], column * grid[1] / size[1]
            i, j = int(y), int(x)
            value = 0.0
            for di in (0, 1):
                for dj in (0, 1):
                    theta = float(angle[i + di, j + dj])
                    dy, dx = y - i - di, x - j - dj
                    weight = 1.0
                    for distance in (abs(dy), abs(dx)):
                        t = 1 - distance
                        weight *= 6 * t**5 - 15 * t**4 + 10 * t**3
                    value += weight * (np.sin(theta) * dy + np.cos(theta) * dx)
            noise[row, column] = value * np.sqrt(2)
    return noise


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    grid=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    seed=st.integers(0, 2**32),
)
def test_equals_the_plain_form(size: tuple[int, int], grid: tuple[int, int], seed: int) -> None:
    noise = perlin(size, grid, np.random.default_rng(seed))
    nodes = (grid[0] + 1, grid[1] + 1)
    angle = (2 * np.pi) * np.random.default_rng(seed).random(nodes, dtype=np.float32)
    assert noise.dtype == np.float32
    np.testing.assert_allclose(noise, plain_perlin(size, grid, angle), atol=1e-6)


def test_the_same_at_a_full_size() -> None:
    noise = perlin((160, 224), (32, 4), np.random.default_rng(1))
    angle = (2 * np.pi) * np.random.default_rng(1).random((33, 5), dtype=np.float32)
    np.testing.assert_allclose(noise, plain_perlin((160, 224), (32, 4), angle), atol=1e-6)


@pytest.mark.parametrize("size", [(256, 256), (160, 224)])
def test_masks_are_a_small_part_of_the_image(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    masks = [perlin_mask(size, (0, 5), 90, 0.5, rng) for _ in range(200)]
    assert all(mask.shape == size and mask.dtype == np.uint8 for mask in masks)
    assert 0.02 < np.mean([mask.mean() for mask in masks]) < 0.2
