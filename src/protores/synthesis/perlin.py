"""Perlin noise for the outlines of simulated anomalies (docs/method.md).

Noise on a grid is a bilinear form in the gradients of the grid's nodes, so a whole image is four small matrix
products, a hundred times faster than the usual per-pixel form.
"""

from functools import lru_cache

import cv2
import numpy as np


@lru_cache(maxsize=256)
def _interpolation(length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Per pixel (rows) and node (columns): the node's weight, and weight times distance from it in cells."""
    position = np.arange(length, dtype=np.float64) * (cells / length)
    cell = np.minimum(position.astype(np.int64), cells - 1)
    offset = position - cell
    fade = ((6 * offset - 15) * offset + 10) * offset**3
    pixel = np.arange(length)
    weight = np.zeros((length, cells + 1))
    weight[pixel, cell] = 1 - fade
    weight[pixel, cell + 1] = fade
    lever = np.zeros((length, cells + 1))
    lever[pixel, cell] = (1 - fade) * offset
    lever[pixel, cell + 1] = fade * (offset - 1)
    return weight.astype(np.float32), lever.astype(np.float32)


def perlin(size: tuple[int, int], grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Perlin noise, float32 H x W in [-1, 1], from unit gradients on grid = (rows, columns) of cells."""
    rows, columns = grid
    angle = (2 * np.pi) * rng.random((rows + 1, columns + 1), dtype=np.float32)
    weight_y, lever_y = _interpolation(size[0], rows)
    weight_x, lever_x = _interpolation(size[1], columns)
    noise = (lever_y @ np.sin(angle)) @ weight_x.T
    noise += (weight_y @ np.cos(angle)) @ lever_x.T
    noise *= np.float32(np.sqrt(2))
    return noise


def perlin_mask(
    size: tuple[int, int],
    octaves: tuple[int, int],
    angle: float,
    cut: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where rotated Perlin noise exceeds `cut`: uint8 H x W in {0, 1}, possibly empty.

    octaves: least and largest power of two of cells per axis; angle: largest rotation, degrees.
    """
    low, high = octaves
    grid = (2 ** int(rng.integers(low, high + 1)), 2 ** int(rng.integers(low, high + 1)))
    noise = perlin(size, grid, rng)
    turn = cv2.getRotationMatrix2D(((size[1] - 1) / 2, (size[0] - 1) / 2), rng.uniform(-angle, angle), 1.0)
    noise = cv2.warpAffine(noise, turn, (size[1], size[0]), borderMode=cv2.BORDER_REFLECT_101)
    return (noise > cut).astype(np.uint8)
