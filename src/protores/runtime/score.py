"""An image's score from its map, as model/scoring.py has it in torch: the mean of the highest pixels."""

import numpy as np
from numpy.typing import NDArray


def image_score(anomaly_map: NDArray[np.float32], top: float) -> float:
    """Mean of the highest share `top` of a map's pixels, at least one of them. anomaly_map: H x W in [0, 1]."""
    flat = anomaly_map.ravel()
    highest = max(1, round(flat.size * top))
    return float(np.partition(flat, flat.size - highest)[-highest:].mean())
