"""What one image looks like, in a few numbers: all that is compared between the images of a data set."""

from dataclasses import dataclass

import cv2
import numpy as np

from protores.data.container import Header
from protores.data.image import Mask, resize_image

SIDE = 32
_LEVELS_SIDE = 64


@dataclass(frozen=True)
class MaskLook:
    """How a mask is stored. values, doubtful: see Mask. border: share of its border's pixels that is defect."""

    header: Header
    values: int
    doubtful: int
    border: float


@dataclass(frozen=True, eq=False)
class Look:
    """header: how the file stores the image. thumb: SIDE x SIDE float32, gray, averaged over areas.

    levels: median red, green and blue, contrast: interquartile range of gray, all in 0 to 255.
    """

    header: Header
    thumb: np.ndarray
    levels: tuple[float, float, float]
    contrast: float
    mask: MaskLook | None


def look_at(image: np.ndarray, header: Header, mask: Mask | None) -> Look:
    """The look of an image, uint8 RGB H x W x 3, and of its mask if it has one."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = resize_image(image, (_LEVELS_SIDE, _LEVELS_SIDE)).reshape(-1, 3)
    low, high = np.percentile(gray[:: max(1, len(gray) // 256)], (25, 75))
    red, green, blue = np.median(small, axis=0)
    return Look(
        header=header,
        thumb=resize_image(gray.astype(np.float32), (SIDE, SIDE)),
        levels=(float(red), float(green), float(blue)),
        contrast=float(high - low),
        mask=None if mask is None else MaskLook(mask.header, mask.values, mask.doubtful, _border(mask.pixels)),
    )


def _border(mask: np.ndarray) -> float:
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return float(np.concatenate(edges).mean())
