"""Anomaly maps as pictures: one colour scale for all of them, so that a good part does not look red.

The colours are inferno's: lightness rises with the value, so the order is the same to the colour-blind.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

TRUTH: Colour = (0, 220, 255)
"""Outline of what is known to be a defect."""
FOUND: Colour = (255, 60, 230)
"""Outline of what the map calls one."""


def scaled(anomaly_map: NDArray[np.float32], low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
    """Values between low and high as [0, 1], what lies outside clipped; NaN is 0."""
    if not high > low:
        raise ValueError(f"a colour scale from {low} to {high} is empty; high must be greater than low")
    share = (np.nan_to_num(np.asarray(anomaly_map, np.float32)) - np.float32(low)) / np.float32(high - low)
    return np.clip(share, 0, 1)


def colour(anomaly_map: NDArray[np.float32], low: float = 0.0, high: float = 1.0) -> Image:
    """Map, float H x W, as uint8 H x W x 3: black at low and below, pale yellow at high and above."""
    levels = np.round(scaled(anomaly_map, low, high) * 255).astype(np.uint8)
    return np.asarray(
        cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), np.uint8
    )


def overlay(
    image: Image, anomaly_map: NDArray[np.float32], low: float = 0.0, high: float = 1.0, opacity: float = 0.7
) -> Image:
    """The map over its image, both H x W; opacity grows with the value, from 0 at low to `opacity` at high.

    Where nothing is found the image stays as it is.
    """
    alpha = scaled(anomaly_map, low, high) * np.float32(opacity)
    return np.asarray(cv2.blendLinear(image, colour(anomaly_map, low, high), 1 - alpha, alpha), np.uint8)


def contours(image: Image, mask: NDArray[np.uint8], colour: Colour = TRUTH, thickness: int = 1) -> Image:
    """A copy of image with a line around each region of the mask, `thickness` pixels wide.

    The line runs outside, so it hides nothing of the defect. A mask of another size is brought to the
    image's; even one pixel of it stays to be seen. mask: 0 or not, H x W.
    """
    inside = resize_mask(mask, image.shape)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1,) * 2)
    line = cv2.dilate(inside, around) > inside
    outlined = image.copy()
    outlined[line] = colour
    return outlined


def resize_mask(mask: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The mask as {0, 1} at another height and width; shrunk, a pixel is set if any part of it was."""
    inside = (np.asarray(mask) > 0).astype(np.float32)
    (rows, columns), (height, width) = inside.shape, shape[:2]
    # An axis at a time: INTER_AREA is only what its name says where no axis grows.
    for size, shrinks in (((columns, height), height < rows), ((width, height), width < columns)):
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return (inside > 0).astype(np.uint8)


def colour_bar(width: int, height: int) -> Image:
    """The scale, from low on the left to high on the right."""
    return colour(np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1)))
