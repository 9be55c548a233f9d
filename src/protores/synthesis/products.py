"""Anomalies for several products' good images in a row, each made from its own product's images and seen defects."""

from collections.abc import Sequence

import numpy as np

from protores.synthesis.anomaly import Anomaly
from protores.synthesis.synthesizer import Synthesizer


class ProductSynthesizer:
    """parts: a Synthesizer of each product. images: how many good images each has."""

    def __init__(self, parts: Sequence[Synthesizer], images: Sequence[int]):
        self._parts = parts
        self._ends = np.cumsum(images)
        self._images = images

    def simulated(self, image: np.ndarray, index: int, rng: np.random.Generator) -> Anomaly:
        """A simulated anomaly on the good image of that index."""
        part, own = self._find(index)
        return part.simulated(image, own, rng)

    def extended(self, image: np.ndarray, index: int, rng: np.random.Generator) -> Anomaly:
        """An extended anomaly on it; ValueError where its product has no seen anomalies."""
        part, own = self._find(index)
        return part.extended(image, own, rng)

    def _find(self, index: int) -> tuple[Synthesizer, int]:
        """The image's product, and its index there."""
        part = int(np.searchsorted(self._ends, index, "right"))
        return self._parts[part], index - int(self._ends[part]) + self._images[part]
