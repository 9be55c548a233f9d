"""How an image is inspected: all that a contract says but the network itself."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from protores.bundle.contract import Contract, Decision, Image, Score
from protores.data.image import compose, decode_image, network_input, read_bytes, read_mask, to_rgb
from protores.decision.counting import without_specks
from protores.decision.regions import find_regions
from protores.decision.verdict import Thresholds, decide
from protores.errors import BundleError
from protores.runtime.engine import Engine
from protores.runtime.result import Result
from protores.runtime.score import image_score
from protores.runtime.view import Mask, Size, Tiles, Tiling, View, Whole

Source = str | Path | bytes | NDArray[Any]
"""An image: a file, the bytes of one, or an array H x W (x 1 to 4), uint8 or uint16, its channels in RGB(A) order."""

BATCH = 8
"""Most images or tiles that go through the network at once."""


@dataclass(frozen=True, eq=False)
class Views:
    """What the network sees of an image: uint8 RGB N x height x width x 3. size: the image's own height and width."""

    size: Size
    views: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Prepared(Views):
    """An image on its way to the network, with the image itself: uint8 RGB H x W x 3."""

    image: NDArray[np.uint8]


class Procedure:
    """The steps from an image to its result: prepare, run, finish. Each may run in several threads.

    image, score, decision: of a contract. ignore, roi: the decision's masks, uint8 {0, 1} of any size.
    tiling: None: images are resized whole.
    """

    def __init__(
        self,
        image: Image,
        score: Score,
        decision: Decision,
        ignore: Mask = None,
        roi: Mask = None,
        tiling: Tiling | None = None,
    ):
        self.image, self.score, self.decision, self.tiling = image, score, decision, tiling
        self.thresholds = Thresholds.of(decision.good_below, decision.bad_above)
        self.view: View = Tiles(image.size, tiling) if tiling else Whole(image.size, image.keep_aspect)
        self.masks = ignore, roi
        self.valid = lru_cache(4)(lambda size: self.view.valid(size, ignore, roi))

    @classmethod
    def of_bundle(cls, folder: Path, contract: Contract, decision: Decision, tiling: Tiling | None = None) -> Self:
        """As a bundle has it, under one of its decisions. Raises UnreadableImage for its masks."""
        names = decision.ignore, decision.roi
        ignore, roi = (None if name is None else read_mask(folder / name) for name in names)
        return cls(contract.image, contract.score, decision, ignore, roi, tiling)

    def digest(self) -> str:
        """SHA-256 of all that is set here: two procedures with the same one make the same of an image and its map."""
        digest = hashlib.sha256(repr((self.image, self.score, self.tiling)).encode())
        digest.update(repr(self.decision.model_copy(update={"calibration": None})).encode())
        for mask in self.masks:
            digest.update(b"" if mask is None else repr(mask.shape).encode() + mask.tobytes())
        return digest.hexdigest()

    def prepare(self, image: Source, name: str | Path = "image") -> Prepared:
        """Decodes an image and resizes or cuts it. Raises UnreadableImage, which tells the file's name or this one."""
        if isinstance(image, (str, Path)):
            decoded = decode_image(read_bytes(Path(image)), image)
        elif isinstance(image, (bytes, bytearray, memoryview)):
            decoded = decode_image(bytes(image), name)
        else:
            decoded = compose(np.asarray(image), name)
        rgb = to_rgb(decoded.pixels, self.image.bit_depth)
        return Prepared((rgb.shape[0], rgb.shape[1]), self.view.cut(rgb), rgb)

    def run(self, engine: Engine, images: Sequence[Views]) -> list[NDArray[np.float32]]:
        """The engine's map of each image; of tiles the joined one."""
        maps = np.concatenate([engine(batch) for batch in batches(images)])
        return [self.view.join(own, image.size) for image, own in zip(images, by_image(maps, images), strict=True)]

    def finish(self, size: Size, network_map: NDArray[np.float32]) -> Result:
        """Score, regions and verdict of an image of this height and width. Regions that are too small do not count."""
        valid, box = self.valid(size), self.view.box(size)
        if valid is not None:
            network_map = network_map * valid
        threshold, mm = self.decision.map_threshold, self.decision.mm_per_px
        least = self.decision.min_area / (mm**2 if mm and self.decision.unit == "mm2" else 1)
        if threshold is not None:
            network_map = without_specks(network_map, threshold, least * box[2] * box[3] / (size[0] * size[1]))
        score = image_score(network_map, self.score.top)
        if math.isnan(score):
            raise BundleError("the network gives no numbers; run `protores verify` on the bundle, or export it anew")
        found = Result(size, score, network_map, box)
        if threshold is not None and network_map.max() >= threshold:  # else enlarging it finds nothing either
            found = replace(found, regions=find_regions(found.map, threshold, least, mm))
        return replace(found, verdict=decide(found.score, self.thresholds, found.regions))


def batches(images: Sequence[Views]) -> Iterator[NDArray[np.float32]]:
    """All views of the images in a row, as the network takes them."""
    views = np.concatenate([image.views for image in images])
    return (network_input(views[start : start + BATCH]) for start in range(0, len(views), BATCH))


def by_image(found: NDArray[np.float32], images: Sequence[Views]) -> list[NDArray[np.float32]]:
    """What was found in each view in a row, image by image."""
    return np.split(found, np.cumsum([len(image.views) for image in images])[:-1])
