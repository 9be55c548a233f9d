"""Seen defects as crops."""

import numpy as np

from protores.synthesis.defect import defects


def seen(*boxes: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 255, (100, 120, 3), dtype=np.uint8)
    mask = np.zeros((100, 120), np.uint8)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = 1
    return image, mask


def test_spots_far_apart_are_defects_of_their_own() -> None:
    image, mask = seen((10, 20, 10, 15), (70, 72, 90, 110), (70, 72, 111, 113))
    found = sorted(defects(image, mask), key=lambda defect: defect.area)
    assert [defect.area for defect in found] == [44, 50]
    assert found[1].centre == (14.5, 12.0)


def test_patch_holds_the_defect_and_is_free_at_its_rim() -> None:
    for box in [(10, 20, 10, 15), (0, 5, 0, 7), (95, 100, 113, 120), (0, 100, 0, 120)]:
        image, mask = seen(box)
        (defect,) = defects(image, mask)
        inside = defect.patch[..., 3] > 0
        assert inside.sum() == defect.area == mask.sum()
        np.testing.assert_array_equal(defect.patch[inside][:, :3], image[mask == 1])
        rim = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
        assert not rim.any()


def test_no_mask_no_defect() -> None:
    assert defects(*seen()) == []
