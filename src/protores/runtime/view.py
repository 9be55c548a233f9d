"""How an image is brought before the network: whole, or cut into overlapping tiles whose maps are put together again.

Both give uint8 RGB images of the network's size and take the network's maps of them back.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protores.data.image import fit_box, resize_image, valid_pixels
from protores.errors import SettingsError

Size = tuple[int, int]
Mask = NDArray[np.uint8] | None


@dataclass(frozen=True)
class Whole:
    """The image resized to the network's size (height, width), as in training."""

    size: Size
    keep_aspect: bool

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """image: H x W x 3. Returns 1 x height x width x 3."""
        return resize_image(image, self.size, self.keep_aspect)[None]

    def join(self, maps: NDArray[np.float32], shape: Size) -> NDArray[np.float32]:
        """The one map as it is, height x width."""
        return maps[0]

    def valid(self, shape: Size, ignore: Mask, roi: Mask) -> NDArray[np.bool_] | None:
        """Where an image of this shape counts on the joined map; None: everywhere."""
        return valid_pixels(shape, self.size, self.keep_aspect, ignore, roi)

    def box(self, shape: Size) -> tuple[int, int, int, int]:
        """Where it lies on the joined map: top, left, height, width."""
        return fit_box(shape, self.size, self.keep_aspect)


@dataclass(frozen=True)
class Tiling:
    """How to cut large images.

    overlap: share of a tile's side that neighbours have in common at least, in (0, 1). scale: of the image before it
    is cut; 1 keeps its own pixels. Raises SettingsError for other values.
    """

    overlap: float = 0.25
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.overlap < 1 or not 0 < self.scale < math.inf:
            raise SettingsError(
                f"tiles that overlap by {self.overlap} at scale {self.scale} cannot be cut; "
                "give an overlap between 0 and 1 and a scale above 0"
            )


@dataclass(frozen=True)
class Tiles:
    """The image at its scale, cut into tiles of the network's size.

    In the joined map each pixel is a weighted mean of the tiles that hold it. The weights fall linearly to 0 at a
    quarter of the overlap from a tile's edge, so there is no seam, and a network whose map depends on no more than
    that quarter around a pixel gives what it would give for the image in one piece.
    """

    size: Size
    tiling: Tiling

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """image: H x W x 3. Returns N x height x width x 3, row by row; what lies beyond an edge repeats it."""
        scaled = resize_image(image, self._scaled(image.shape))
        below, beside = (max(0, t - s) for t, s in zip(self.size, scaled.shape, strict=False))
        if below or beside:
            scaled = np.pad(scaled, ((0, below), (0, beside), (0, 0)), "edge")
        height, width = self.size
        rows, columns = self._starts(image.shape)
        return np.stack([scaled[y : y + height, x : x + width] for y in rows for x in columns])

    def join(self, maps: NDArray[np.float32], shape: Size) -> NDArray[np.float32]:
        """One map of the scaled image out of those of its tiles. shape: of the image."""
        whole = [max(t, s) for t, s in zip(self.size, self._scaled(shape), strict=True)]
        rows, columns = self._starts(shape)
        down, across = (
            _weights(starts, tile, length)
            for starts, tile, length in zip((rows, columns), self.size, whole, strict=True)
        )
        joined = np.zeros(whole, np.float32)
        tiles = iter(maps)
        for y, weight in zip(rows, down, strict=True):
            for x, other in zip(columns, across, strict=True):
                joined[y : y + self.size[0], x : x + self.size[1]] += next(tiles) * weight[:, None] * other
        height, width = self._scaled(shape)
        return joined[:height, :width]

    def valid(self, shape: Size, ignore: Mask, roi: Mask) -> NDArray[np.bool_] | None:
        """Where an image of this shape counts on the joined map; None: everywhere."""
        return valid_pixels(shape, self._scaled(shape), False, ignore, roi)

    def box(self, shape: Size) -> tuple[int, int, int, int]:
        """Where it lies on the joined map: top, left, height, width."""
        return 0, 0, *self._scaled(shape)

    def _scaled(self, shape: tuple[int, ...]) -> Size:
        height, width = (max(1, round(side * self.tiling.scale)) for side in shape[:2])
        return height, width

    def _starts(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        rows, columns = (
            _starts(length, tile, self.tiling.overlap)
            for length, tile in zip(self._scaled(shape), self.size, strict=True)
        )
        return rows, columns


View = Whole | Tiles


def _starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis: as few as have that overlap, spread evenly from edge to edge."""
    if length <= tile:
        return [0]
    step = max(1, math.floor(tile * (1 - overlap)))
    count = math.ceil((length - tile) / step) + 1
    return np.linspace(0, length - tile, count).round().astype(int).tolist()


def _weights(starts: list[int], tile: int, length: int) -> list[NDArray[np.float32]]:
    """Each tile's weights along an axis, `tile` numbers; over all tiles they sum to 1 at every pixel.

    A tile takes over from the one before in a ramp around the middle of what they share, half as wide as that.
    """
    shared = [start + tile - following for start, following in zip(starts, starts[1:], strict=False)]
    ramp = max(1.0, min(shared, default=0) / 2)
    centres = np.arange(length) + 0.5
    taken = [np.ones(length)]
    taken += [
        np.clip((centres - (start + common / 2)) / ramp + 0.5, 0, 1)
        for start, common in zip(starts[1:], shared, strict=True)
    ]
    taken.append(np.zeros(length))
    return [
        (mine - following)[start : start + tile].astype(np.float32)
        for start, mine, following in zip(starts, taken, taken[1:], strict=False)
    ]
