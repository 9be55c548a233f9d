"""A product in any pose, made of one that always lies the same way: every image turned about its middle."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST = 20
"""Defect pixels that have to be left."""


def turned(source: Path, out: Path, size: int = 256, seed: int = 5) -> Path:
    """Writes the images and masks of a folder in MVTec AD's layout, each turned by an angle of its own; returns out.

    size: side of the square that is cut from the middle, as large as never reaches beyond the turned image. A defect
    of which nothing is left in it is left out.
    """
    rng = np.random.default_rng(seed)
    for path in sorted(source.glob("*/*/*.png")):
        part, kind = path.parts[-3:-1]
        if part == "ground_truth":
            continue
        angle = rng.uniform(0, 360)
        name = f"{path.stem}_mask.png"
        mask_path = source / "ground_truth" / kind / name
        if part == "test" and mask_path.exists():
            mask = _turn(cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE), angle, size) > 127
            if mask.sum() < LEAST:
                continue
            _write(out / "ground_truth" / kind / name, mask * np.uint8(255))
        _write(out / part / kind / path.name, _turn(cv2.imread(str(path)), angle, size))
    return out


def _turn(image: NDArray[np.uint8], angle: float, size: int) -> NDArray[np.uint8]:
    side = min(image.shape[:2])
    small = cv2.resize(image, None, fx=2**0.5 * size / side, fy=2**0.5 * size / side, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    move[:, 2] += size / 2 - np.array([width / 2, height / 2])
    return cv2.warpAffine(small, move, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _write(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
