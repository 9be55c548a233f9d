"""Joining an image and what is laid over it."""

import numpy as np

from protores.synthesis.anomaly import blend, soft, visible

IMAGE = np.full((40, 50, 3), 100, np.uint8)
SOURCE = np.full((40, 50, 3), 200, np.uint8)


def square(side: int) -> np.ndarray:
    mask = np.zeros((40, 50), np.uint8)
    mask[10 : 10 + side, 20 : 20 + side] = 1
    return mask


def test_soft_edge_lies_inside() -> None:
    mask = square(12)
    alpha = soft(mask, 1.0)
    assert (alpha[mask == 0] == 0).all()
    assert (alpha[mask == 1] >= 0.5).all()
    assert alpha[16, 26] > 0.999
    assert alpha[10, 26] < 0.8
    np.testing.assert_array_equal(soft(mask, 0.0), mask)


def test_one_pixel_keeps_half_of_its_opacity() -> None:
    assert soft(square(1), 2.0).max() == 0.5


def test_blend_mixes_inside_and_keeps_outside() -> None:
    mask = square(12)
    out = blend(IMAGE, SOURCE, mask, 0.4, 1.0)
    np.testing.assert_array_equal(out[mask == 0], IMAGE[mask == 0])
    assert out[16, 26].tolist() == [140, 140, 140]
    assert (IMAGE == 100).all()


def test_visible_drops_what_did_not_change() -> None:
    mask = square(12)
    changed = IMAGE.copy()
    changed[10:13, 20:32] = 160
    part = visible(IMAGE, changed, mask, 4.0)
    assert part[10:13, 20:32].all()
    assert not part[18:].any()
    assert not visible(IMAGE, IMAGE, mask, 4.0).any()


def test_visible_does_not_count_other_noise() -> None:
    rng = np.random.default_rng(0)
    one, two = (np.clip(rng.normal(100, 10, (64, 64, 1)), 0, 255).astype(np.uint8).repeat(3, 2) for _ in "ab")
    mask = np.ones((64, 64), np.uint8)
    assert visible(one, two, mask, 8.0).mean() < 0.2
    assert visible(one, two + 30, mask, 8.0).mean() > 0.99
