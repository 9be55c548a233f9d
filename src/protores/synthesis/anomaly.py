"""An image with a made anomaly and its mask, and how the two are joined.

The soft edge lies inside the mask, so no pixel outside of it changes: the label stays exact.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

EDGE_OPACITY = 0.5


@dataclass(frozen=True)
class Anomaly:
    """image: uint8 H x W x 3, RGB; mask: uint8 H x W in {0, 1}, 1 where the image was changed."""

    image: np.ndarray
    mask: np.ndarray


@lru_cache(maxsize=64)
def disc(radius: int) -> np.ndarray:
    """Round structuring element, uint8 (2 radius + 1) squared."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def soft(mask: np.ndarray, feather: float) -> np.ndarray:
    """Opacity of a mask: float32, 0 outside, 1 inside, falling to a half at the edge over `feather` pixels.

    Spots thinner than the edge keep at least half of their opacity, so that tiny defects stay visible.
    """
    alpha = mask.astype(np.float32)
    if feather <= 0:
        return alpha
    blurred = cv2.GaussianBlur(alpha, (0, 0), feather, borderType=cv2.BORDER_REPLICATE)
    return np.maximum(blurred, EDGE_OPACITY) * alpha


def bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the smallest box around the mask's non-zero pixels."""
    x, y, width, height = cv2.boundingRect(mask)
    return slice(y, y + height), slice(x, x + width)


def blend(
    image: np.ndarray, source: np.ndarray, mask: np.ndarray, opacity: float, feather: float
) -> np.ndarray:
    """A copy of image, uint8 H x W x 3, with source laid over it inside the mask; source has its size."""
    box = bounds(mask)
    alpha = soft(mask[box], feather) * np.float32(opacity)
    out = image.copy()
    out[box] = cv2.blendLinear(
        np.ascontiguousarray(source[box]), np.ascontiguousarray(image[box]), alpha, 1 - alpha
    )
    return out


def visible(image: np.ndarray, changed: np.ndarray, mask: np.ndarray, levels: float) -> np.ndarray:
    """The part of the mask, uint8 {0, 1}, within 2 pixels of a change that an eye would see, gaps closed.

    A change counts where the means of 5 x 5 windows differ by more than `levels` in some channel: noise
    replaced by other noise of the same kind is no anomaly, though nearly every pixel differs.
    """
    box = bounds(mask)
    if box[0].stop == 0:
        return mask
    before = cv2.blur(np.ascontiguousarray(image[box]), (5, 5), borderType=cv2.BORDER_REPLICATE)
    after = cv2.blur(np.ascontiguousarray(changed[box]), (5, 5), borderType=cv2.BORDER_REPLICATE)
    first, second, third = cv2.split(cv2.absdiff(before, after))
    strong = (cv2.max(cv2.max(first, second), third) > levels).astype(np.uint8)
    part = np.zeros_like(mask)
    part[box] = cv2.morphologyEx(cv2.dilate(strong, disc(2)), cv2.MORPH_CLOSE, disc(2)) & mask[box]
    return part
