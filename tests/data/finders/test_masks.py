"""Masks that say something else than where the defect is."""

from pathlib import Path

import cv2
import numpy as np
import pytest


def spot(size: int = 6) -> np.ndarray:
    mask = np.zeros((24, 32), np.uint8)
    mask[8 : 8 + size, 10 : 10 + size] = 255
    return mask


def ring() -> np.ndarray:
    """More than half is defect, but not the border."""
    mask = np.zeros((24, 32), np.uint8)
    mask[1:-1, 1:-1] = 255
    return mask


@pytest.mark.parametrize(
    ("mask", "rule"),
    [
        (None, "mask-missing"),
        (np.zeros((24, 32), np.uint8), "mask-empty"),
        (255 - spot(), "mask-inverted"),
        (np.full((24, 32), 255, np.uint8), "mask-inverted"),
        (ring(), "mask-large"),
        (cv2.GaussianBlur(spot(), (0, 0), 3), "mask-gray"),
        (np.tile(np.arange(0, 96, 3, dtype=np.uint8), (24, 1)), "mask-gray"),
    ],
)
def test_doubtful_masks_are_warnings(mvtec: Path, found, write, mask: np.ndarray | None, rule: str):
    path = mvtec / "ground_truth/dent/001_mask.png"
    if mask is None:
        path.unlink()
        path = mvtec / "test/dent/001.png"
    else:
        write(path, mask)
    rules = {name: problems for name, problems in found(mvtec).items() if name.startswith("mask-")}
    assert set(rules) == {rule}
    assert (rules[rule][0].severity, rules[rule][0].paths) == ("warning", (path,))
    assert "1 images (001.png)" in rules[rule][0].message


@pytest.mark.parametrize("values", [(0, 255), (0, 1), (0, 3), (0, 128)])
def test_masks_of_two_values_and_sharp_jpegs_are_not_remarked_on(mvtec: Path, found, write, values: tuple[int, int]):
    write(mvtec / "ground_truth/dent/001_mask.png", np.where(spot() > 0, values[1], values[0]).astype(np.uint8))
    (mvtec / "ground_truth/dent/002_mask.png").unlink()
    write(mvtec / "ground_truth/dent/002_mask.jpg", spot(8), cv2.IMWRITE_JPEG_QUALITY, 95)
    assert not [rule for rule in found(mvtec) if rule.startswith("mask-")]
