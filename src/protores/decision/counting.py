"""Which pixels of a map count: none of a region that is smaller than the smallest one that counts.

A region that is too small is neither listed nor does it make an image bad: its pixels are 0, as those in an ignore
mask are, before the score is taken.
"""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

AreaUnit = Literal["px", "mm2"]


def without_specks(anomaly_map: NDArray[np.float32], map_threshold: float, least: float) -> NDArray[np.float32]:
    """The map, H x W, with every 8-connected region at map_threshold or above of fewer than `least` pixels set to 0."""
    outlined = (anomaly_map >= map_threshold).astype(np.uint8)
    if least <= 1 or not outlined.any():
        return anomaly_map
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(outlined, connectivity=8, ltype=cv2.CV_32S)
    small = statistics[:, cv2.CC_STAT_AREA] < least
    small[0] = False
    return np.where(small[np.asarray(labels, np.intp)], np.float32(0), anomaly_map)


def pixels_of(min_area: float, unit: AreaUnit, mm_per_px: float | None, image: float, inside: float) -> float:
    """A smallest area in pixels of the map.

    min_area is in pixels of the original image, or in mm² where mm_per_px (of the original image) is given; image is
    the original's number of pixels and inside the number of map pixels that it covers.
    """
    if unit == "mm2":
        if mm_per_px is None:
            raise ValueError("an area in mm2 needs mm_per_px")
        min_area /= mm_per_px**2
    return min_area * inside / image
