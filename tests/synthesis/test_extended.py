"""Extended anomalies: the hard cases, and what the mask promises."""

import numpy as np
import pytest

from protores.settings import SynthesisSettings
from protores.synthesis.extended import Extender

PLAIN = {
    "pastes": (1, 1),
    "moved": 0.0,
    "shift": 0.0,
    "flip": 0.0,
    "quarter_turn": 0.0,
    "rotate": 0.0,
    "scale": (1.0, 1.0),
    "distort": 0.0,
    "mild": 1.0,
    "match_light": 0.0,
    "hard": 1.0,
    "feather": 0.0,
}
SIZE = (160, 224)
GOOD = np.full((*SIZE, 3), 100, np.uint8)
EVERYWHERE = np.ones(SIZE, np.uint8)


def extender(mask: np.ndarray, colour: tuple[int, int, int] = (250, 20, 60), **changes: object) -> Extender:
    """One seen defect of one colour on a gray image."""
    image = np.full((*mask.shape, 3), 100, np.uint8)
    image[mask == 1] = colour
    return Extender(image[None], mask[None], SynthesisSettings(**changes))


def spot(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def check(made, good: np.ndarray) -> None:
    assert made.image.shape == good.shape
    assert made.image.dtype == made.mask.dtype == np.uint8
    assert made.mask.shape == good.shape[:2]
    assert set(np.unique(made.mask)) <= {0, 1}
    assert made.mask.any()
    np.testing.assert_array_equal(made.image[made.mask == 0], good[made.mask == 0])


def test_without_operations_it_is_the_defect_itself() -> None:
    mask = spot(30, 50, 60, 90)
    made = extender(mask, **PLAIN)(GOOD, EVERYWHERE, np.random.default_rng(0))
    np.testing.assert_array_equal(made.mask, mask)
    assert (made.image[mask == 1] == (250, 20, 60)).all()
    check(made, GOOD)


def test_surroundings_of_the_defect_are_not_pasted() -> None:
    """The defect is red on green; on gray, no green may arrive, not even under turning and scaling."""
    mask = spot(30, 50, 60, 90)
    seen = np.full((*SIZE, 3), (0, 255, 0), np.uint8)
    seen[mask == 1] = (255, 0, 0)
    extend = Extender(
        seen[None], mask[None], SynthesisSettings(mild=1.0, match_light=0.0, feather=0.0, hard=1.0)
    )
    rng = np.random.default_rng(0)
    for _ in range(40):
        made = extend(GOOD, EVERYWHERE, rng)
        check(made, GOOD)
        inside = made.image[made.mask == 1].astype(int)
        # At the very edge interpolation mixes both; the mask is cut where the defect is the larger part.
        assert (inside[:, 0] >= inside[:, 1] - 2).all()
        assert (inside[:, 0] > 250).mean() > 0.5


def test_real_defects(grid: np.ndarray, seen_grid: tuple[np.ndarray, np.ndarray]) -> None:
    extend = Extender(*seen_grid, SynthesisSettings())
    assert len(extend) == 5
    kept = grid.copy()
    rng = np.random.default_rng(0)
    foreground = np.ones(grid.shape[1:3], np.uint8)
    for index in range(60):
        made = extend(grid[index % len(grid)], foreground, rng)
        check(made, grid[index % len(grid)])
        assert (made.image != grid[index % len(grid)]).any()
    np.testing.assert_array_equal(grid, kept)


@pytest.mark.parametrize("box", [(0, 12, 0, 20), (150, 160, 200, 224), (0, 160, 0, 6), (70, 90, 220, 224)])
def test_a_mask_touching_the_border(box: tuple[int, int, int, int]) -> None:
    extend = extender(spot(*box))
    rng = np.random.default_rng(0)
    for _ in range(40):
        check(extend(GOOD, EVERYWHERE, rng), GOOD)


@pytest.mark.parametrize("box", [(80, 82, 100, 102), (80, 81, 100, 104), (0, 1, 0, 1), (159, 160, 220, 224)])
def test_a_tiny_defect_does_not_vanish(box: tuple[int, int, int, int]) -> None:
    extend = extender(spot(*box), distort=1.0, scale=(0.5, 1.5), pastes=(1, 1))
    rng = np.random.default_rng(0)
    for _ in range(80):
        made = extend(GOOD, EVERYWHERE, rng)
        check(made, GOOD)
        assert np.abs(made.image.astype(int) - GOOD).max() > 8


def test_an_all_white_mask_is_made_smaller() -> None:
    extend = extender(np.ones(SIZE, np.uint8), coverage=0.4)
    rng = np.random.default_rng(0)
    for _ in range(20):
        made = extend(GOOD, EVERYWHERE, rng)
        check(made, GOOD)
        assert made.mask.mean() < 0.6


def test_a_defect_larger_than_the_product() -> None:
    product = spot(60, 90, 100, 130)
    extend = extender(spot(10, 150, 20, 200))
    rng = np.random.default_rng(0)
    for _ in range(40):
        made = extend(GOOD, product, rng)
        check(made, GOOD)
        assert (made.mask & product).sum() >= 0.6 * made.mask.sum()


def test_a_defect_beside_the_product_is_moved_onto_it() -> None:
    product = spot(20, 140, 20, 100)
    extend = extender(spot(60, 70, 180, 190), moved=0.0, shift=0.0, pastes=(1, 1))
    rng = np.random.default_rng(0)
    for _ in range(40):
        made = extend(GOOD, product, rng)
        assert (made.mask & product).sum() >= 0.6 * made.mask.sum()


def test_stays_in_place_where_it_lies_on_the_product() -> None:
    mask = spot(60, 70, 50, 70)
    rng = np.random.default_rng(0)
    product = spot(20, 140, 20, 100)
    stay = extender(mask, **PLAIN)
    move = extender(mask, **{**PLAIN, "moved": 1.0})
    assert all((stay(GOOD, product, rng).mask == mask).all() for _ in range(10))
    assert not any((move(GOOD, product, rng).mask == mask).all() for _ in range(10))


@pytest.mark.parametrize("pixels", [0, 1])
def test_hardly_any_foreground(pixels: int) -> None:
    foreground = np.zeros(SIZE, np.uint8)
    foreground.flat[5000 : 5000 + pixels] = 1
    made = extender(spot(30, 50, 60, 90))(GOOD, foreground, np.random.default_rng(0))
    check(made, GOOD)
    if pixels:
        np.testing.assert_array_equal(made.mask, foreground)


def test_number_of_pastes() -> None:
    extend = extender(spot(80, 83, 100, 103), **{**PLAIN, "pastes": (2, 4), "moved": 1.0})
    rng = np.random.default_rng(0)
    areas = [int(extend(GOOD, EVERYWHERE, rng).mask.sum()) for _ in range(200)]
    assert max(areas) == 36
    assert min(areas) >= 9
    assert 24 < np.mean(areas) < 28


def test_matched_light_carries_the_defect_into_another_exposure() -> None:
    mask = spot(60, 80, 100, 120)
    seen = np.full((*SIZE, 3), 60, np.uint8)
    seen[mask == 1] = 30
    dark = Extender(seen[None], mask[None], SynthesisSettings(**PLAIN))
    matched = Extender(seen[None], mask[None], SynthesisSettings(**{**PLAIN, "match_light": 1.0}))
    bright = np.full((*SIZE, 3), 180, np.uint8)
    rng = np.random.default_rng(0)
    assert (dark(bright, EVERYWHERE, rng).image[70, 110] == 30).all()
    assert (matched(bright, EVERYWHERE, rng).image[70, 110] == 150).all()


def test_blend_factor_stays_in_its_range() -> None:
    mask = spot(60, 80, 100, 120)
    rng = np.random.default_rng(0)
    extend = extender(mask, (200, 200, 200), **{**PLAIN, "hard": 0.4, "paste_blend": (0.5, 0.9)})
    opacity = np.array([(extend(GOOD, EVERYWHERE, rng).image[70, 110, 0] - 100) / 100 for _ in range(300)])
    assert 0.3 < (opacity == 1).mean() < 0.5
    assert opacity.min() >= 0.49
    assert opacity[opacity < 1].max() <= 0.91
