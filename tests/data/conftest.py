"""Small image trees, drawn in milliseconds."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """The folder of real inspection images."""
    return SHARED


@pytest.fixture
def draw() -> Callable[..., Path]:
    """draw(path, value=None, defect=False): write a 24 x 32 image, of noise that depends on the path alone.

    value: constant gray level instead; defect: a mask with a 6 x 6 square.
    """

    def write(path: Path, value: int | None = None, defect: bool = False) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if defect:
            image = np.zeros((24, 32), np.uint8)
            image[4:10, 8:14] = 255
        elif value is not None:
            image = np.full((24, 32), value, np.uint8)
        else:
            rng = np.random.default_rng(list("/".join(path.parts[-3:]).encode()))
            image = rng.integers(0, 256, (24, 32), dtype=np.uint8)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        return path

    return write


@pytest.fixture
def mvtec(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    """A product in MVTec AD's layout: 12 good, 3 good to test, 4 dent, 4 scratch."""
    root = tmp_path / "product"
    for i in range(12):
        draw(root / "train" / "good" / f"{i:03}.png")
    for i in range(3):
        draw(root / "test" / "good" / f"{i:03}.png")
    for kind in ("dent", "scratch"):
        for i in range(4):
            draw(root / "test" / kind / f"{i:03}.png")
            draw(root / "ground_truth" / kind / f"{i:03}_mask.png", defect=True)
    return root
