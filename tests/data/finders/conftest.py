"""Finders on small trees: what each of them says."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.check import inspect
from protores.data.findings import Problem
from protores.settings import DataSettings

Rules = dict[str, list[Problem]]


@pytest.fixture
def found() -> Callable[..., Rules]:
    """found(root): the problems of a data set by rule."""

    def run(root: Path, settings: DataSettings | None = None) -> Rules:
        problems = inspect(root, settings or DataSettings()).problems
        return {problem.rule: [p for p in problems if p.rule == problem.rule] for problem in problems}

    return run


@pytest.fixture
def write() -> Callable[..., Path]:
    """write(path, image): an image file, RGB or gray, by its ending."""

    def save(path: Path, image: np.ndarray, *options: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = image[..., ::-1] if image.ndim == 3 else image
        path.write_bytes(cv2.imencode(path.suffix, stored, options)[1].tobytes())
        return path

    return save


@pytest.fixture
def parts(rng: np.random.Generator) -> Callable[[int], Iterator[np.ndarray]]:
    """parts(n): photos (192 x 240, gray) of n well-fixtured parts: one pattern, shifted by less than a pixel, a glint
    that wanders, a lamp that flickers, and a grain that is each part's own."""
    pattern = cv2.GaussianBlur(rng.normal(0, 1, (192, 240)).astype(np.float32), (0, 0), 4) * 400 + 128

    def draw(count: int) -> Iterator[np.ndarray]:
        for _ in range(count):
            shift = np.float32([[1, 0, rng.normal(0, 0.5)], [0, 1, rng.normal(0, 0.5)]])
            grain = cv2.GaussianBlur(rng.normal(0, 1, (192, 240)).astype(np.float32), (0, 0), 1.5) * 15
            glint = 40 * np.exp(-((np.arange(240) - rng.uniform(60, 180)) ** 2) / 800).astype(np.float32)
            part = cv2.warpAffine(pattern, shift, (240, 192), borderMode=cv2.BORDER_REFLECT) + grain + glint
            yield np.clip(part * rng.uniform(0.97, 1.03) + rng.normal(0, 1, part.shape), 0, 255).astype(np.uint8)

    return draw
