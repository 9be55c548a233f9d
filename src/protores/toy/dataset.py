"""Draws the toy product's images and writes them as a data set in MVTec AD's layout."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.errors import DataError, SettingsError
from protores.toy.board import Board
from protores.toy.defects import KINDS, spoil
from protores.toy.scene import Image, Scene

SMALLEST = 32
"""Pixels; below this a board cannot be told from its neighbour."""


def _sample(rng: np.random.Generator, size: int) -> tuple[Board, Scene, NDArray[np.uint8]]:
    if size < SMALLEST:
        raise SettingsError(f"a toy image of {size} pixels shows nothing: use size={SMALLEST} or more")
    board, scene = Board.sample(rng), Scene.sample(rng)
    return board, scene, board.labels(size * max(2, -(-256 // size)))


def draw_good(rng: np.random.Generator, size: int = 256) -> Image:
    """A good part, uint8 size x size x 3."""
    board, scene, labels = _sample(rng, size)
    return scene.expose(scene.photograph(board, labels, size))


def draw_defect(rng: np.random.Generator, kind: str, size: int = 256) -> tuple[Image, NDArray[np.uint8]]:
    """A part with one defect of a kind of KINDS, and its mask, uint8 size x size of {0, 1}.

    From an equal generator, draw_good gives the same picture without the defect.
    """
    if kind not in KINDS:
        raise SettingsError(f"the toy product has no defect {kind!r}: use one of {', '.join(KINDS)}")
    board, scene, labels = _sample(rng, size)
    return spoil(kind, board, scene, labels, size, rng)


def draw(
    root: Path,
    good: int = 200,
    test_good: int = 40,
    defects_per_kind: int = 16,
    size: int = 256,
    seed: int = 0,
) -> Path:
    """Write train/good, test/good, test/<kind> and ground_truth/<kind> under root as PNG files; returns root.

    Every image has a generator of its own, from the seed and its place: asking for more changes none.
    DataError where the folder cannot be written.
    """
    root = Path(root)
    for part, (folder, count) in enumerate((("train/good", good), ("test/good", test_good))):
        for k in range(count):
            _write(root / folder / f"{k:03d}.png", draw_good(np.random.default_rng([seed, part, k]), size))
    for number, kind in enumerate(KINDS):
        for k in range(defects_per_kind):
            image, mask = draw_defect(np.random.default_rng([seed, 2 + number, k]), kind, size)
            _write(root / "test" / kind / f"{k:03d}.png", image)
            _write(root / "ground_truth" / kind / f"{k:03d}_mask.png", mask * np.uint8(255))
    return root


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror}): choose another folder") from error
