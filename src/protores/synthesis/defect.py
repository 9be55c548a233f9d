"""Seen defects as small crops, ready to be changed and pasted."""

from dataclasses import dataclass

import cv2
import numpy as np

from protores.synthesis.anomaly import bounds, disc

GROUP_DISTANCE = 0.03
CONTEXT = 0.03


@dataclass(frozen=True)
class Defect:
    """A group of spots of one seen anomaly.

    patch: uint8 h x w x 4, RGB and mask (0 or 255), whose outermost pixels are never mask; centre: row and
    column of the patch's middle in the seen image; area: mask pixels; surroundings: mean RGB of the patch
    beside the mask.
    """

    patch: np.ndarray
    centre: tuple[float, float]
    area: int
    surroundings: np.ndarray


def defects(image: np.ndarray, mask: np.ndarray) -> list[Defect]:
    """The defects of a seen image, uint8 H x W x 3, and mask, uint8 H x W in {0, 1}; near spots are one."""
    side = max(mask.shape)
    reach = max(1, round(GROUP_DISTANCE * side / 2))
    count, labels = cv2.connectedComponents(cv2.dilate(mask, disc(reach)), connectivity=8, ltype=cv2.CV_32S)
    margin = max(2, round(CONTEXT * side))
    found = []
    for label in range(1, count):
        group = mask & (labels == label).astype(np.uint8)
        if not group.any():
            continue
        rows, columns = bounds(group)
        top, bottom = rows.start - margin, rows.stop + margin
        left, right = columns.start - margin, columns.stop + margin
        inner = (
            slice(max(0, top), min(mask.shape[0], bottom)),
            slice(max(0, left), min(mask.shape[1], right)),
        )
        beyond = (inner[0].start - top, bottom - inner[0].stop, inner[1].start - left, right - inner[1].stop)
        colours = cv2.copyMakeBorder(np.ascontiguousarray(image[inner]), *beyond, cv2.BORDER_REPLICATE)
        inside = cv2.copyMakeBorder(np.ascontiguousarray(group[inner]), *beyond, cv2.BORDER_CONSTANT, value=0)
        beside = (mask[inner] == 0).astype(np.uint8)
        ground = np.ascontiguousarray(image[inner])
        surroundings = np.array(cv2.mean(ground, beside if beside.any() else None)[:3])
        found.append(
            Defect(
                np.dstack([colours, inside * 255]),
                ((top + bottom - 1) / 2, (left + right - 1) / 2),
                int(group.sum()),
                surroundings,
            )
        )
    return found
