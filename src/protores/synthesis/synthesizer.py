"""Everything that makes anomalies from one product's images, behind two calls.

A Synthesizer is built once and not changed by calls: what comes out depends on the passed generator alone, so
any number of workers, forked or pickled, draw the same anomalies from the same seeds.
"""

import zlib
from pathlib import Path

import numpy as np

from protores.data.frames import Frames
from protores.settings import SynthesisSettings
from protores.synthesis.anomaly import Anomaly
from protores.synthesis.extended import Extender
from protores.synthesis.foreground import Foreground
from protores.synthesis.simulated import Simulator
from protores.synthesis.textures import MixedTextures, texture_sources


class Synthesizer:
    """Simulated and extended anomalies for one product.

    good: uint8 N x H x W x 3, RGB, already at the network's input size, read one at a time. seen_images uint8 M x H x W
    x 3 and seen_masks uint8 M x H x W in {0, 1}: the real defects that training may use, M may be 0. textures: a
    folder of images, or None. seed: of what is drawn once, here: the procedural textures and the choice of
    texture files. valid: bool N x H x W, where a good image counts; no anomaly lies elsewhere. None: everywhere.
    DataError where the textures' folder holds no image.
    """

    def __init__(
        self,
        good: Frames | np.ndarray,
        seen_images: Frames | np.ndarray,
        seen_masks: Frames | np.ndarray,
        textures: Path | None,
        settings: SynthesisSettings,
        seed: int,
        valid: Frames | np.ndarray | None = None,
    ) -> None:
        size = (good.shape[1], good.shape[2])
        self.foreground = Foreground.fit(good, settings.foreground)
        self._valid = valid
        self._foregrounds = None
        if self.is_object or valid is not None:
            inside = [None] * len(good) if valid is None else valid
            self._foregrounds = [_packed(_within(self.foreground(i), v)) for i, v in zip(good, inside, strict=True)]
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
    def foregrounds(self) -> Frames:
        """The product in each good image, uint8 N x H x W in {0, 1}."""
        return Frames(self._foreground_at, self._shape[0], self._shape[1:], np.uint8)

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
        return self._foreground_at(index)

    def _foreground_at(self, index: int) -> np.ndarray:
        if self._foregrounds is None:
            return np.ones(self._shape[1:], np.uint8)
        height, width = self._shape[1:]
        bits = np.frombuffer(zlib.decompress(self._foregrounds[index]), np.uint8)
        return np.unpackbits(bits, count=height * width).reshape(height, width)


def _packed(foreground: np.ndarray) -> bytes:
    """A foreground in a few hundred bytes: thousands of them are kept."""
    return zlib.compress(np.packbits(foreground).tobytes(), 1)


def _within(foreground: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    """The part of the product that counts; where none does, what counts; where nothing does, the product."""
    if valid is None or not valid.any():
        return foreground
    both = foreground & valid
    return both if both.any() else valid.astype(np.uint8)


def _is_gray(good: Frames | np.ndarray) -> bool:
    return all(bool((image == image[..., :1]).all()) for image in good)
