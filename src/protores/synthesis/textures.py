"""What simulated anomalies are filled with: a folder of images, drawn textures, the user's own good images.

All are uint8 in 0..255 like the images they are blended into: a texture in 0..1 would make every anomaly a
dark blob.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from protores.data.frames import Frames
from protores.data.image import read_image
from protores.errors import DataError, UnreadableImage
from protores.synthesis import photometric
from protores.synthesis.procedural import ProceduralTextures, random_crop

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
LOOKS = ("brightness", "contrast", "gamma", "hue")


class Textures(Protocol):
    """A source of textures."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One texture, uint8 H x W x 3 in 0..255, RGB."""
        ...


class OwnTextures:
    """Crops of the good images N x H x W x 3, enlarged and changed in look, so that they fit nowhere."""

    def __init__(self, good: Frames | np.ndarray) -> None:
        self._good = good

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        image = self._good[int(rng.integers(len(self._good)))]
        crop = random_crop(image, image.shape[:2], (0.3, 0.9), rng)
        return photometric.some(crop, 2, rng)


class FolderTextures:
    """Random crops of the images anywhere under a folder, read once.

    At most `limit` images are kept, a random choice by `seed`, with the shorter side scaled to that of size.
    Files that cannot be decoded are passed over. DataError where no image is left.
    """

    def __init__(self, folder: Path, size: tuple[int, int], limit: int, seed: int) -> None:
        files = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
        rng = np.random.default_rng(seed)
        self._size = size
        self._pool: list[np.ndarray] = []
        for index in rng.permutation(len(files)):
            if len(self._pool) == limit:
                break
            try:
                image = read_image(files[index])
            except UnreadableImage:
                continue
            scale = max(size[0] / image.shape[0], size[1] / image.shape[1])
            shape = (max(size[1], round(image.shape[1] * scale)), max(size[0], round(image.shape[0] * scale)))
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            self._pool.append(cv2.resize(image, shape, interpolation=method))
        if not self._pool:
            raise DataError(
                f"no readable image under the textures folder {folder}: give a folder of pictures"
            )

    def __len__(self) -> int:
        return len(self._pool)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        image = self._pool[int(rng.integers(len(self._pool)))]
        crop = random_crop(image, self._size, (0.5, 1.0), rng)
        if rng.random() < 0.5:
            return photometric.OPERATIONS[LOOKS[int(rng.integers(len(LOOKS)))]](crop, rng)
        return crop


class MixedTextures:
    """Several sources, each with its weight; gray=True takes the colour out of all of them."""

    def __init__(self, sources: Mapping[str, Textures], weights: Mapping[Any, float], gray: bool) -> None:
        drawn = [name for name in sources if weights.get(name, 0) > 0] or list(sources)
        self._sources = [sources[name] for name in drawn]
        shares = np.array([weights.get(name, 0) or 1.0 for name in drawn])
        self._cumulative = np.cumsum(shares / shares.sum())
        self._gray = gray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        index = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        texture = self._sources[min(index, len(self._sources) - 1)].draw(rng)
        if self._gray:
            return cv2.cvtColor(cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return texture


def texture_sources(
    good: Frames | np.ndarray, folder: Path | None, size: tuple[int, int], limit: int, seed: int
) -> dict[str, Textures]:
    """The sources there are, by name: "procedural", "own" and, with a folder, "folder"."""
    sources: dict[str, Textures] = {"procedural": ProceduralTextures(size, seed), "own": OwnTextures(good)}
    if folder is not None:
        sources["folder"] = FolderTextures(folder, size, limit, seed)
    return sources
