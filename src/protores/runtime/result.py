"""What an inspection found in one image."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.decision.regions import Region
from protores.decision.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Result:
    """Score, map, regions and verdict of an image.

    size: the image's height and width. score: in [0, 1]. network_map: float32 in [0, 1] at the network's size (where
    the image was cut into tiles: at the scale they were cut at), 0 where nothing counts. box: where the image lies on
    it: top, left, height, width. regions: highest peak first; none without a map threshold. verdict: None without
    score thresholds. product: what a network of several products takes the image for; None: it knows one alone.
    """

    size: tuple[int, int]
    score: float
    network_map: NDArray[np.float32]
    box: tuple[int, int, int, int]
    regions: tuple[Region, ...] = ()
    verdict: Verdict | None = None
    product: str | None = None

    @cached_property
    def map(self) -> NDArray[np.float32]:
        """The anomaly map at the image's own size, float32 H x W in [0, 1]."""
        top, left, height, width = self.box
        inside = self.network_map[top : top + height, left : left + width]
        return np.asarray(cv2.resize(inside, self.size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON: keys are only ever added."""
        product = {} if self.product is None else {"product": self.product}
        return product | {
            "score": self.score,
            "verdict": None if self.verdict is None else self.verdict.outcome,
            "size": list(self.size),
            "regions": [region.to_dict() for region in self.regions],
        }
