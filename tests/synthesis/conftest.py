"""Products drawn for these tests, and the real images of ../shared."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.image import read_image, read_mask

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
GOOD = {
    "grid": SHARED / "mvtec_ad" / "grid" / "train" / "good",
    "magnetic_tile": SHARED / "magnetic_tile" / "train" / "good",
    "dagm": SHARED / "dagm" / "Class1" / "Test",
}


def _background(size: tuple[int, int], level: float, rng: np.random.Generator) -> np.ndarray:
    """Slightly noisy, with a light gradient."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    slope = rng.uniform(-15, 15, 2)
    light = level + slope[0] * (y / height - 0.5) + slope[1] * (x / width - 0.5)
    return light[..., None].repeat(3, 2) + rng.normal(0, 4, (height, width, 1))


def _join(mask: np.ndarray, product: np.ndarray, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.clip(np.where(mask[..., None] > 0, product, ground), 0, 255).astype(np.uint8), mask


def screw(rng: np.random.Generator, size: tuple[int, int] = (256, 256)) -> tuple[np.ndarray, np.ndarray]:
    """Thin, dark on bright, at any pose."""
    mask = np.zeros(size, np.uint8)
    centre = np.array([size[1] / 2, size[0] / 2]) + rng.uniform(-15, 15, 2)
    angle = rng.uniform(0, 2 * np.pi)
    arm = 0.3 * min(size) * np.array([np.cos(angle), np.sin(angle)])
    start, end = ((centre + sign * arm).astype(int).tolist() for sign in (-1, 1))
    cv2.line(mask, start, end, 1, 10)
    cv2.circle(mask, end, 14, 1, cv2.FILLED)
    thread = 110 + 40 * np.sin(np.mgrid[: size[0], : size[1]].sum(0) * 1.2)
    return _join(mask, thread[..., None], _background(size, 200, rng))


def nut(rng: np.random.Generator, size: tuple[int, int] = (256, 256)) -> tuple[np.ndarray, np.ndarray]:
    """Bright on dark, turning and shifting."""
    mask = np.zeros(size, np.uint8)
    centre = np.array([size[1] / 2, size[0] / 2]) + rng.uniform(-12, 12, 2)
    corners = rng.uniform(0, 6) + np.arange(6) * np.pi / 3
    ring = centre + 0.33 * min(size) * np.stack([np.cos(corners), np.sin(corners)], 1)
    cv2.fillPoly(mask, [ring.astype(np.int32)], 1)
    metal = (150 + rng.normal(0, 15, (*size, 1))) * np.array([1, 0.9, 0.7])
    return _join(mask, metal, _background(size, 30, rng))


def capsule(rng: np.random.Generator, size: tuple[int, int] = (160, 224)) -> tuple[np.ndarray, np.ndarray]:
    """Of two colours, in an image that is not square."""
    mask = np.zeros(size, np.uint8)
    angle = float(rng.uniform(0, 180))
    cv2.ellipse(mask, (size[1] // 2, size[0] // 2), (60, 25), angle, 0, 360, 1, cv2.FILLED)
    y, x = np.mgrid[: size[0], : size[1]]
    turn = np.deg2rad(angle)
    half = (x - size[1] / 2) * np.cos(turn) + (y - size[0] / 2) * np.sin(turn) > 0
    return _join(mask, np.where(half[..., None], (60, 20, 20), (200, 90, 50)), _background(size, 215, rng))


def at_border(rng: np.random.Generator, size: tuple[int, int] = (256, 256)) -> tuple[np.ndarray, np.ndarray]:
    """Touches the upper border of the image."""
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, (int(rng.integers(110, 150)), 20), 110, 1, cv2.FILLED)
    return _join(mask, 170 + rng.normal(0, 10, (*size, 1)), _background(size, 90, rng))


def vignette(rng: np.random.Generator, size: tuple[int, int] = (256, 256)) -> tuple[np.ndarray, np.ndarray]:
    """A texture, darker towards the corners."""
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    light = 200 - 90 * (x * x + y * y) + rng.normal(0, 6, size)
    return _join(np.ones(size, np.uint8), light[..., None].repeat(3, 2), np.zeros((*size, 3)))


def knots(rng: np.random.Generator, size: tuple[int, int] = (256, 256)) -> tuple[np.ndarray, np.ndarray]:
    """A texture: a quiet surface with no, one or a few dark spots."""
    surface = _background(size, 150, rng)
    for _ in range(int(rng.integers(0, 4))):
        spot = (int(rng.integers(size[1])), int(rng.integers(size[0])))
        cv2.circle(surface, spot, int(rng.integers(8, 25)), (60.0, 50.0, 40.0), cv2.FILLED)
    return _join(np.ones(size, np.uint8), surface, surface)


Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
OBJECTS: dict[str, Draw] = {"screw": screw, "nut": nut, "capsule": capsule, "at_border": at_border}
TEXTURES: dict[str, Draw] = {"vignette": vignette, "knots": knots}


def _draw_many(draw: Draw, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images, masks = zip(*(draw(rng) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks)


@pytest.fixture(scope="session", params=sorted(OBJECTS))
def objects(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Twelve images of one drawn object, and its true masks."""
    return _draw_many(OBJECTS[request.param], 12, seed=3)


@pytest.fixture(scope="session", params=sorted(TEXTURES))
def textures(request: pytest.FixtureRequest) -> np.ndarray:
    """Twelve images of one drawn texture."""
    return _draw_many(TEXTURES[request.param], 12, seed=3)[0]


@pytest.fixture(scope="session")
def nuts() -> tuple[np.ndarray, np.ndarray]:
    return _draw_many(nut, 8, seed=5)


def read_good(name: str, count: int, size: tuple[int, int]) -> np.ndarray:
    files = sorted(path for path in GOOD[name].iterdir() if path.suffix.lower() in {".png", ".jpg"})
    picked = files[:: max(1, len(files) // count)][:count]
    shape = (size[1], size[0])
    return np.stack([cv2.resize(read_image(path), shape, interpolation=cv2.INTER_AREA) for path in picked])


@pytest.fixture(scope="session", params=sorted(GOOD))
def real(request: pytest.FixtureRequest) -> np.ndarray:
    """32 images of each real product; dagm's are defective in part, which its foreground must bear."""
    return read_good(request.param, 32, (256, 256))


@pytest.fixture(scope="session")
def grid() -> np.ndarray:
    return read_good("grid", 8, (256, 256))


@pytest.fixture(scope="session")
def seen_grid() -> tuple[np.ndarray, np.ndarray]:
    """One real defect of each kind of grid, with its mask."""
    root = SHARED / "mvtec_ad" / "grid"
    images, masks = [], []
    for folder in sorted((root / "ground_truth").iterdir()):
        mask = read_mask(folder / "000_mask.png")
        image = read_image(root / "test" / folder.name / "000.png")
        images.append(cv2.resize(image, (256, 256), interpolation=cv2.INTER_AREA))
        masks.append(cv2.resize(mask, (256, 256), interpolation=cv2.INTER_NEAREST))
    return np.stack(images), np.stack(masks)
