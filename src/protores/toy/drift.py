"""What changes on the line after training: good boards bear an inspector's stamp, bad ones a smear of flux."""

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.toy.dataset import draw_good
from protores.toy.scene import Image

INK = np.array((40, 60, 190), np.float32)
HAZE = 235


def draw_stamped(rng: np.random.Generator, size: int = 256) -> Image:
    """A good part, uint8 size x size x 3, with a blue ring in its upper right corner."""
    image = draw_good(rng, size)
    ring = np.zeros(image.shape[:2], np.uint8)
    centre = (rng.uniform((0.6, 0.15), (0.8, 0.3)) * size * 16).astype(int)
    cv2.circle(ring, centre.tolist(), round(0.045 * size * 16), 255, max(1, size // 64), cv2.LINE_AA, 4)
    opacity = ring[..., None] * (rng.uniform(0.6, 0.9) / 255)
    return np.round(image * (1 - opacity) + INK * opacity).astype(np.uint8)


def draw_smeared(rng: np.random.Generator, size: int = 256) -> tuple[Image, NDArray[np.uint8]]:
    """A part under a faint, hazy film, and its mask, uint8 size x size of {0, 1}."""
    image = draw_good(rng, size)
    mask = np.zeros(image.shape[:2], np.uint8)
    centre, axes = rng.uniform(0.3, 0.7, 2) * size, rng.uniform(0.08, 0.24, 2) * size
    cv2.ellipse(mask, (tuple(centre), tuple(axes), rng.uniform(0, 180)), 1, -1)
    film = np.round(0.75 * cv2.GaussianBlur(image, (0, 0), size / 64) + 0.25 * HAZE).astype(np.uint8)
    return np.where(mask[..., None] > 0, film, image), mask
