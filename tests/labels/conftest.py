"""Small photos as an annotation tool would show them, and what an import made of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.image import read_mask
from protores.data.layouts import read_plain
from protores.labels.importing import Imported, Rules, import_masks

sys.path.insert(0, str(Path(__file__).parent))

Photo = Callable[..., Path]
Import = Callable[..., dict[str, tuple[str, np.ndarray | None]]]


@pytest.fixture
def photo() -> Photo:
    """photo(path, size=(24, 32), exif=None): writes a file of noise that depends on its path's end alone.

    size: height and width as stored. exif: an orientation for a JPEG.
    """

    def write(path: Path, size: tuple[int, int] = (24, 32), exif: int | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = list("/".join(path.parts[-2:]).encode())
        image = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
        data = cv2.imencode(path.suffix, image)[1].tobytes()
        if exif is not None:
            block = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([exif, 0, 0, 0]) + b"\0\0\0\0"
            data = data[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """imported(tool, source, **rules): what our own reader finds in the folder: image to kind and mask.

    images: the folder of the images, if it is another one. Paths are below the folder.
    """

    def run(tool: str, source: Path, images: Path | None = None, **rules) -> dict[str, tuple[str, np.ndarray | None]]:
        run.result = import_masks(tool, source, tmp_path / "data", images, Rules(**rules))
        found = read_plain(tmp_path / "data")
        assert not found.orphans
        return {
            sample.path.relative_to(tmp_path / "data").as_posix(): (
                sample.kind,
                None if sample.mask is None else read_mask(sample.mask),
            )
            for sample in found.dataset.samples
        }

    run.result: Imported | None = None
    return run


@pytest.fixture
def square() -> Callable[..., np.ndarray]:
    """square(left, top, right, bottom, size=(24, 32)): a mask with these columns and rows, the last ones not."""

    def make(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
        mask = np.zeros(size, np.uint8)
        mask[top:bottom, left:right] = 1
        return mask

    return make


@pytest.fixture
def blob() -> np.ndarray:
    """A mask of 24 x 32 with a ring, so with a hole, and a spot on the border."""
    y, x = np.mgrid[:24, :32]
    away = (x - 12) ** 2 + (y - 11) ** 2
    mask = ((away <= 64) & (away > 16)).astype(np.uint8)
    mask[20:, 27:] = 1
    return mask
