"""Everything that makes anomalies from one product's images, behind two calls.

A Synthesizer is built once and not changed by calls: what comes out depends on the passed generator alone, so
any number of workers, forked or pickled, draw the same anomalies from the same seeds.
"""

from pathlib import Path

import numpy as np

from protores.settings import SynthesisSettings
from protores.synthesis.anomaly import Anomaly
from protores.synthesis.extended import Extender
from protores.synthesis.foreground import Foreground
from protores.synthesis.simulated import Simulator
from protores.synthesis.textures import MixedTextures, texture_sources


class Synthesizer:
    """Simulated and extended anomalies for one product.

    good: uint8 N x H x W x 3, RGB, already at the network's input size. seen_images uint8 M x H x W x 3 and
    seen_masks uint8 M x H x W in {0, 1}: the real defects that training may use, M may be 0. textures: a
    folder of images, or None. seed: of what is drawn once, here: the procedural textures and the choice of
    texture files. DataError where the textures' folder holds no image.
    """

    def __init__(
        self,
        good: np.ndarray,
        seen_images: np.ndarray,
        seen_masks: np.ndarray,
        textures: Path | None,
        settings: SynthesisSettings,
        seed: int,
    ) -> None:
        size = (good.shape[1], good.shape[2])
        self.foreground = Foreground.fit(good)
        self._foregrounds = np.stack([self.foreground(image) for image in good]) if self.is_object else None
        self._shape = good.shape[:3]
        sources = texture_sources(good, textures, size, settings.texture_images, seed)
        gray = settings.gray_textures and _is_gray(good)
        self._simulator = Simulator(MixedTextures(sources, settings.sources, gray), self.is_object, settings)
        self._extender = Extender(seen_images, seen_masks, settings)

    @property
    def is_object(self) -> bool:
        return self.foreground.is_object

    @property
    def seen(self) -> int:
        """Number of seen anomalies there are to extend."""
        return len(self._extender)

    @property
    def foregrounds(self) -> np.ndarray:
        """The product in each good image, uint8 N x H x W in {0, 1}, read-only."""
        if self._foregrounds is None:
            return np.broadcast_to(np.uint8(1), self._shape)
        view = self._foregrounds.view()
        view.flags.writeable = False
        return view

    def simulated(self, image: np.ndarray, index: int | None, rng: np.random.Generator) -> Anomaly:
        """A simulated anomaly on image, uint8 H x W x 3: the good image of that index, not moved, or another (None)."""
        return self._simulator(image, self._foreground_of(image, index), rng)

    def extended(self, image: np.ndarray, index: int | None, rng: np.random.Generator) -> Anomaly:
        """An extended anomaly on image, as `simulated`; ValueError where there are no seen anomalies."""
        if not len(self._extender):
            raise ValueError("no seen anomalies to extend: ask for simulated ones")
        return self._extender(image, self._foreground_of(image, index), rng)

    def _foreground_of(self, image: np.ndarray, index: int | None) -> np.ndarray:
        if index is None:
            return self.foreground(image)
        return np.ones(self._shape[1:], np.uint8) if self._foregrounds is None else self._foregrounds[index]


def _is_gray(good: np.ndarray) -> bool:
    return all(bool((image == image[..., :1]).all()) for image in good)
