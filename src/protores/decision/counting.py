"""Which pixels of a map count: none of a region that is smaller than the smallest one that counts.

A region that is too small is neither listed nor does it make an image bad: its pixels are 0, as those in an ignore
mask are, before the score is taken.
"""

import cv2
import numpy as np
from numpy.typing import NDArray


def without_specks(anomaly_map: NDArray[np.float32], map_threshold: float, least: float) -> NDArray[np.float32]:
    """The map, H x W, with every 8-connected region at map_threshold or above of fewer than `least` pixels set to 0."""
    outlined = (anomaly_map >= map_threshold).astype(np.uint8)
    if least <= 1 or not outlined.any():
        return anomaly_map
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(outlined, connectivity=8, ltype=cv2.CV_32S)
    small = statistics[:, cv2.CC_STAT_AREA] < least
    small[0] = False
    return np.where(small[np.asarray(labels, np.intp)], np.float32(0), anomaly_map)
