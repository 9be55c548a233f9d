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
    texture files. valid: bool N x H x W, where a good image counts; no anomaly lies elsewhere. None: everywhere.
    DataError where the textures' folder holds no image.
    """

    def __init__(
        self,
        good: np.ndarray,
        seen_images: np.ndarray,
        seen_masks: np.ndarray,
        textures: Path | None,
        settings: SynthesisSettings,
        seed: int,
        valid: np.ndarray | None = None,
    ) -> None:
        size = (good.shape[1], good.shape[2])
        self.foreground = Foreground.fit(good, settings.foreground)
        self._valid = valid
        self._foregrounds = None
        if self.is_object or valid is not None:
            inside = [None] * len(good) if valid is None else valid
            self._foregrounds = np.stack([_within(self.foreground(i), v) for i, v in zip(good, inside, strict=True)])
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

    def simulated(
        self, image: np.ndarray, index: int | None, rng: np.random.Generator, valid: np.ndarray | None = None
    ) -> Anomaly:
        """A simulated anomaly on image, uint8 H x W x 3: the good image of that index, not moved, or another (None),
        which counts where valid (bool H x W) says.
        """
        return self._simulator(image, self._foreground_of(image, index, valid), rng)

    def extended(self, image: np.ndarray, index: int, rng: np.random.Generator) -> Anomaly:
        """An extended anomaly on the good image of that index; ValueError where there are no seen anomalies."""
        if not len(self._extender):
            raise ValueError("no seen anomalies to extend: ask for simulated ones")
        made = self._extender(image, self._foreground_of(image, index), rng)
        if self._valid is None or not (made.mask & ~self._valid[index]).any():
            return made
        mask = made.mask & self._valid[index]
        if not mask.any():
            return self.simulated(image, index, rng)
        return Anomaly(np.where(mask[..., None] > 0, made.image, image), mask)

    def _foreground_of(self, image: np.ndarray, index: int | None, valid: np.ndarray | None = None) -> np.ndarray:
        if index is None:
            return _within(self.foreground(image), valid)
        return np.ones(self._shape[1:], np.uint8) if self._foregrounds is None else self._foregrounds[index]


def _within(foreground: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """The part of the product that counts; where none does, what counts; where nothing does, the product."""
    if valid is None or not valid.any():
        return foreground
    both = foreground & valid
    return both if both.any() else valid.astype(np.uint8)


def _is_gray(good: np.ndarray) -> bool:
    return all(bool((image == image[..., :1]).all()) for image in good)
