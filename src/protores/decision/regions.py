"""What the map outlines: its connected regions, with where they lie, how large they are and how certain.

Only numpy and OpenCV. A region's mask is all 8-connected pixels at the threshold or above, at the image's own size.
"""

from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

OUTLINE_ERROR = 1.0
"""How far, in pixels, a polygon may be from the region's true outline."""


@dataclass(frozen=True)
class Region:
    """One connected region of an anomaly map, in pixels of the original image.

    box: left, top, width, height. area: pixels; area_mm2: None without a scale. peak, mean: of the map inside, in
    [0, 1]. polygon: x, y of its outer outline through the centres of the border pixels, simplified; holes are not
    in it (nor in the area).
    """

    box: tuple[int, int, int, int]
    area: int
    peak: float
    mean: float
    polygon: tuple[tuple[int, int], ...]
    area_mm2: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON: keys are only ever added."""
        return {
            "box": list(self.box),
            "area": self.area,
            "area_mm2": self.area_mm2,
            "peak": self.peak,
            "mean": self.mean,
            "polygon": [list(point) for point in self.polygon],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What to_dict gave."""
        left, top, width, height = values["box"]
        return cls(
            (left, top, width, height),
            values["area"],
            values["peak"],
            values["mean"],
            tuple((x, y) for x, y in values["polygon"]),
            values["area_mm2"],
        )


def find_regions(
    anomaly_map: NDArray[np.float32], threshold: float, min_area: float = 0.0, mm_per_px: float | None = None
) -> tuple[Region, ...]:
    """The regions of a map (float32, H x W, at the image's own size), highest peak first.

    min_area: regions of fewer pixels are left out. mm_per_px: side of a pixel, for areas in mm².
    """
    inside = (anomaly_map >= np.float32(threshold)).view(np.uint8)
    left, top, width, height = cv2.boundingRect(inside)
    if not width:
        return ()
    part = np.s_[top : top + height, left : left + width]
    inside, values = inside[part], anomaly_map[part]
    _, labels = cv2.connectedComponents(inside, connectivity=8)
    contours, parents = cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    regions = []
    for contour, (_, _, _, parent) in zip(contours, parents[0], strict=True):
        if parent >= 0:  # the outline of a hole
            continue
        x, y, width, height = cv2.boundingRect(contour)
        box = np.s_[y : y + height, x : x + width]
        own = (labels[box] == labels[contour[0, 0, 1], contour[0, 0, 0]]).view(np.uint8)
        area = cv2.countNonZero(own)
        if area < min_area:
            continue
        polygon = cv2.approxPolyDP(contour, OUTLINE_ERROR, closed=True)[:, 0] + (left, top)
        regions.append(
            Region(
                box=(left + x, top + y, width, height),
                area=area,
                peak=cv2.minMaxLoc(values[box], own)[1],
                mean=cv2.mean(values[box], own)[0],
                polygon=tuple((px, py) for px, py in polygon.tolist()),
                area_mm2=None if mm_per_px is None else area * mm_per_px**2,
            )
        )
    return tuple(sorted(regions, key=lambda region: (-region.peak, -region.area, region.box)))
