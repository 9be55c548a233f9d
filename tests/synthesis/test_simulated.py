"""Simulated anomalies: the hard cases, and what the mask promises."""

import cv2
import numpy as np
import pytest

from protores.settings import SynthesisSettings
from protores.synthesis.simulated import Simulator, shuffled
from protores.synthesis.textures import MixedTextures, texture_sources

KINDS = ("perlin", "scar", "cutpaste", "warp", "light")


class Speckle:
    """Coarse coloured noise, without the second that drawing a pool of textures takes."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        coarse = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        return cv2.resize(coarse, (self._size[1], self._size[0]), interpolation=cv2.INTER_NEAREST)


def simulator(good: np.ndarray, is_object: bool = False, **changes: object) -> Simulator:
    return Simulator(Speckle(good.shape[1:3]), is_object, SynthesisSettings(**changes))


def everywhere(good: np.ndarray) -> np.ndarray:
    return np.ones(good.shape[1:3], np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(256, 256), (160, 224), (61, 47)])
def test_mask_says_where_the_image_changed(kind: str, size: tuple[int, int], grid: np.ndarray) -> None:
    good = np.ascontiguousarray(grid[:2, : size[0], : size[1]])
    kept = good.copy()
    simulate = simulator(good, kinds={kind: 1.0})
    rng = np.random.default_rng(0)
    for _ in range(15):
        made = simulate(good[0], everywhere(good), rng)
        assert made.image.shape == (*size, 3)
        assert made.mask.shape == size
        assert made.image.dtype == made.mask.dtype == np.uint8
        assert set(np.unique(made.mask)) == {0, 1}
        np.testing.assert_array_equal(made.image[made.mask == 0], good[0][made.mask == 0])
        change = np.abs(made.image.astype(int) - good[0]).max(2)[made.mask == 1]
        assert (change > 0).mean() > 0.5
        assert change.max() >= 8
    np.testing.assert_array_equal(good, kept)


def test_area_stays_within_its_limits(grid: np.ndarray) -> None:
    simulate = simulator(grid, area=(0.01, 0.05))
    rng = np.random.default_rng(0)
    areas = np.array([simulate(grid[0], everywhere(grid), rng).mask.mean() for _ in range(60)])
    assert (areas <= 0.05).all()
    assert np.mean(areas >= 0.01) > 0.9


def test_stays_on_the_product(nuts: tuple[np.ndarray, np.ndarray]) -> None:
    good, products = nuts
    simulate = simulator(good, is_object=True)
    rng = np.random.default_rng(0)
    for index in range(40):
        product = products[index % len(good)]
        made = simulate(good[index % len(good)], product, rng)
        assert made.mask.any()
        assert not (made.mask & (1 - product)).any()


def test_nothing_in_the_foreground_is_everywhere(grid: np.ndarray) -> None:
    made = simulator(grid)(grid[0], np.zeros(grid.shape[1:3], np.uint8), np.random.default_rng(0))
    assert made.mask.any()
    assert (made.image != grid[0]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreground_of_few_pixels_ends_in_a_visible_spot(kind: str, grid: np.ndarray) -> None:
    foreground = np.zeros(grid.shape[1:3], np.uint8)
    foreground[100:102, 50:53] = 1
    made = simulator(grid, kinds={kind: 1.0})(grid[0], foreground, np.random.default_rng(0))
    assert made.mask.any()
    assert not (made.mask & (1 - foreground)).any()
    assert np.abs(made.image.astype(int) - grid[0]).max(2)[made.mask == 1].min() > 0


def test_a_plain_white_image_gets_anomalies_too() -> None:
    good = np.full((2, 96, 96, 3), 255, np.uint8)
    simulate = simulator(good)
    rng = np.random.default_rng(0)
    for _ in range(20):
        made = simulate(good[0], everywhere(good), rng)
        assert np.abs(made.image.astype(int) - 255).max(2)[made.mask == 1].mean() > 2


def test_anomalies_are_no_dark_blobs(grid: np.ndarray) -> None:
    """A texture in 0..1 blended into 0..255 would darken every anomaly."""
    bright = np.full_like(grid[:2], 128)
    settings = SynthesisSettings(kinds={"perlin": 1.0}, self_texture=0.0)
    sources = texture_sources(grid, None, (256, 256), 1, 0)
    simulate = Simulator(MixedTextures(sources, settings.sources, gray=False), False, settings)
    rng = np.random.default_rng(0)
    brighter = []
    for _ in range(60):
        made = simulate(bright[0], everywhere(bright), rng)
        brighter.append(made.image[made.mask == 1].mean() > 128)
    assert 0.25 < np.mean(brighter) < 0.75


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_self_share_decides_the_fill(share: float) -> None:
    """The image itself, shuffled and photometrically changed, has no colours where the image is gray."""
    rng = np.random.default_rng(0)
    good = rng.integers(0, 255, (2, 96, 96, 1), dtype=np.uint8).repeat(3, 3)
    simulate = simulator(good, kinds={"perlin": 1.0}, self_texture=share)
    coloured = 0
    for _ in range(20):
        made = simulate(good[0], everywhere(good), rng)
        coloured += np.ptp(made.image.astype(int), axis=2).max() > 2
    assert coloured == 0 if share == 1.0 else coloured > 5


def test_kinds_are_drawn_by_their_weights(grid: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for name in KINDS:

        def maker(self, image, foreground, rng, name=name):
            drawn.append(name)
            mask = np.zeros_like(foreground)
            mask[:20, :20] = 1
            return np.where(mask[..., None] > 0, 255 - image, image), mask

        monkeypatch.setattr(Simulator, f"_{name}", maker)
    simulate = simulator(grid, kinds={"perlin": 2.0, "scar": 1.0, "warp": 1.0})
    rng = np.random.default_rng(0)
    for _ in range(600):
        simulate(grid[0], everywhere(grid), rng)
    assert len(drawn) == 600
    shares = {name: drawn.count(name) / 600 for name in KINDS}
    assert shares["cutpaste"] == shares["light"] == 0
    assert abs(shares["perlin"] - 0.5) < 0.07
    assert abs(shares["scar"] - 0.25) < 0.07


def test_shuffled_keeps_all_patches() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    mixed = shuffled(image, 8, np.random.default_rng(1))
    assert (mixed != image).any()

    def patches(picture: np.ndarray) -> list[bytes]:
        return sorted(
            picture[y : y + 8, x : x + 12].tobytes() for y in range(0, 64, 8) for x in range(0, 96, 12)
        )

    assert patches(mixed) == patches(image)
    assert shuffled(image[:61, :47], 8, np.random.default_rng(1)).shape == (61, 47, 3)
