"""PRO, the area under the per-region overlap (Bergmann et al., "MVTec AD", IJCV 2021, section 5.2).

Regions are the 8-connected components of the ground truth. At a threshold, the overlap is the mean over the
regions of the share of their pixels that is flagged, so a region of 4 pixels weighs as much as one of 4,000.
Its curve over the pixels' false-positive rate is integrated from 0 to a limit and divided by that limit.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

PRO_LIMIT = 0.3


def region_weights(
    mask: NDArray[np.uint8], ignore: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float64], int]:
    """What each defect pixel adds to the sum of the regions' overlaps, and the number of regions.

    mask [H, W] is {0, 1}, ignore [H, W] bool. The weights are 1 / area of the pixel's region, for the pixels
    that are defect and not ignored, row by row. Ignored pixels add nothing to an area but still connect a
    region; one that is ignored altogether is no region.
    """
    count, labels = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    counted = labels > 0 if ignore is None else (labels > 0) & ~ignore
    region = np.asarray(labels, np.int32)[counted]
    areas = np.bincount(region, minlength=count)
    return 1.0 / areas[region], int(np.count_nonzero(areas))


def overlap_curve(
    above: NDArray[np.floating], at: NDArray[np.floating], overlap: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve's corners x, y [2 T + 2] from T thresholds, the highest first, from (0, 0) to (1, 1).

    above [T] and at [T] are the false-positive rates of score > threshold and score >= threshold, overlap [T]
    the mean overlap of score >= threshold, which ends at 1. Equal scores move together, along a straight line
    from (above, overlap before) to (at, overlap); between thresholds only the false positives grow.
    """
    before = np.concatenate(([0.0], overlap[:-1]))
    x = np.concatenate(([0.0], np.stack((above, at), axis=1).ravel(), [1.0]))
    y = np.concatenate(([0.0], np.stack((before, overlap), axis=1).ravel(), [1.0]))
    return x, y


def area_under_overlap(
    above: NDArray[np.floating],
    at: NDArray[np.floating],
    overlap: NDArray[np.floating],
    limit: float = PRO_LIMIT,
) -> float:
    """PRO in [0, 1], from what overlap_curve takes."""
    x, y = overlap_curve(above, at, overlap)
    inside = x <= limit
    y = np.append(y[inside], np.interp(limit, x, y))
    x = np.append(x[inside], limit)
    return float(np.diff(x) @ (y[1:] + y[:-1]) / (2.0 * limit))
