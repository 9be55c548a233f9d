"""Light that differs between folders, and defects that do not count as such."""

import re
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def product(tmp_path: Path, rng: np.random.Generator, write) -> Path:
    """12 good images to train, 10 good and 10 bad ones to test, under one lamp that flickers a little."""
    for folder, count in (("train/good", 12), ("test/good", 10), ("test/dent", 10)):
        for i in range(count):
            write(tmp_path / folder / f"{i:02}.png", photo(rng, dent=folder == "test/dent"))
    return tmp_path


def photo(rng: np.random.Generator, gain: tuple[float, ...] = (1, 1, 1), contrast: float = 1, dent: bool = False):
    gray = 120 + 40 * contrast * rng.uniform(-1, 1, (40, 50, 1))
    if dent:
        gray[10:18, 12:22] = 10
    flicker = rng.normal(1, 0.02)
    return np.clip(gray * gain * flicker, 0, 255).astype(np.uint8)


def test_one_lamp_for_all(product: Path, found):
    assert not [rule for rule in found(product) if rule.startswith("light")]


@pytest.mark.parametrize(
    ("gain", "contrast", "told"),
    [
        ((1.15, 1.15, 1.15), 1, "1[5-9] gray levels more brightness"),
        ((0.8, 0.8, 0.8), 1, "2[0-9] gray levels less brightness"),
        ((1.2, 1, 0.85), 1, "2[0-9] gray levels more red and 1[0-9] gray levels less blue than"),
        ((1, 1, 1), 0.4, "2[0-9] gray levels less contrast than"),
    ],
)
def test_another_lamp_in_the_test(product: Path, rng, found, write, gain, contrast: float, told: str):
    for path in (product / "test/good").iterdir():
        write(path, photo(rng, gain, contrast))
    (problem,) = found(product)["light-drift"]
    assert problem.severity == "warning"
    assert re.search(told, problem.message), problem.message
    assert problem.message.startswith("the 10 good images of test/good have")
    assert len(problem.paths) == 10


def test_another_lamp_for_the_defects(product: Path, rng, found, write):
    for path in (product / "test/dent").iterdir():
        write(path, photo(rng, (0.7, 0.7, 0.7), dent=True))
    (problem,) = found(product)["light-of-defects"]
    assert problem.severity == "note"
    assert "dent images of test/dent" in problem.message


def test_folders_of_good_images_are_compared_where_there_is_no_test_part(tmp_path: Path, rng, found, write):
    for i in range(40):
        night = i >= 30
        folder = "good/night" if night else "good/day"
        write(tmp_path / folder / f"{i}.png", photo(rng, (0.7, 0.7, 0.7) if night else (1, 1, 1)))
    (problem,) = found(tmp_path)["light-drift"]
    assert "good/night" in problem.message


def test_a_few_images_say_nothing(product: Path, rng, found, write):
    for i, path in enumerate(sorted((product / "test/good").iterdir())):
        path.unlink() if i > 5 else write(path, photo(rng, (0.5, 0.5, 0.5)))
    assert "light-drift" not in found(product)
