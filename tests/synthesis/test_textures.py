"""Texture sources."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.errors import DataError
from protores.synthesis.procedural import PATTERNS, Pattern, ProceduralTextures, draw_pattern
from protores.synthesis.textures import FolderTextures, MixedTextures, OwnTextures, texture_sources

DTD = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "dtd" / "images" / "banded"
SIZE = (160, 224)


def sources(grid: np.ndarray) -> dict[str, object]:
    good = np.ascontiguousarray(grid[:, : SIZE[0], : SIZE[1]])
    return dict(texture_sources(good, DTD, SIZE, limit=10, seed=0))


@pytest.mark.parametrize("name", ["folder", "procedural", "own"])
def test_are_images_in_0_to_255_and_differ(name: str, grid: np.ndarray) -> None:
    source = sources(grid)[name]
    rng = np.random.default_rng(0)
    drawn = [source.draw(rng) for _ in range(30)]
    assert all(texture.shape == (*SIZE, 3) and texture.dtype == np.uint8 for texture in drawn)
    assert np.max([texture.max() for texture in drawn]) > 200
    assert 60 < np.mean([texture.mean() for texture in drawn]) < 200
    assert len({texture.tobytes() for texture in drawn}) == 30


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.__name__)
def test_every_pattern_is_finite_and_has_structure(pattern: Pattern) -> None:
    for seed in range(6):
        field = pattern((96, 80), np.random.default_rng(seed))
        assert np.isfinite(field).all()
        drawn = draw_pattern(pattern, (96, 80), np.random.default_rng(seed))
        assert drawn.dtype == np.uint8
        assert len(np.unique(drawn)) > 2


def test_same_seed_same_pool() -> None:
    one, two = (ProceduralTextures((64, 64), 7).draw(np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = ProceduralTextures((64, 64), 8).draw(np.random.default_rng(1))
    assert (one != other).any()


def test_the_folder_is_capped_and_bears_broken_files(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "notes.txt").write_text("not a texture")
    (tmp_path / "deep").mkdir()
    for index in range(3):
        pixels = np.full((20, 30 + index, 3), 60 * index, np.uint8)
        cv2.imencode(".png", pixels)[1].tofile(tmp_path / "deep" / f"{index}.png")
    assert len(FolderTextures(tmp_path, (32, 32), 100, 0)) == 3
    assert len(FolderTextures(tmp_path, (32, 32), 2, 0)) == 2


def test_a_folder_without_images_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give a folder of pictures"):
        FolderTextures(tmp_path, (32, 32), 10, 0)
    with pytest.raises(DataError, match="give a folder of pictures"):
        FolderTextures(tmp_path / "absent", (32, 32), 10, 0)


class Flat:
    """A source of one colour."""

    def __init__(self, *colour: int) -> None:
        self._texture = np.full((4, 4, 3), colour, np.uint8)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return self._texture


def test_mixture_follows_its_weights() -> None:
    mixed = MixedTextures(
        {"folder": Flat(200, 0, 0), "own": Flat(0, 0, 0), "procedural": Flat(0, 90, 0)},
        {"folder": 3.0, "own": 1.0, "procedural": 0.0},
        gray=False,
    )
    rng = np.random.default_rng(0)
    drawn = np.array([mixed.draw(rng)[0, 0] for _ in range(800)])
    assert 0.7 < (drawn[:, 0] == 200).mean() < 0.8
    assert (drawn[:, 1] == 0).all()


def test_gray_takes_the_colour_out(grid: np.ndarray) -> None:
    mixed = MixedTextures({"own": Flat(200, 10, 90)}, {"own": 1.0}, gray=True)
    assert np.ptp(mixed.draw(np.random.default_rng(0)), axis=2).max() == 0


def test_own_textures_stay_near_the_product(grid: np.ndarray) -> None:
    assert np.ptp(OwnTextures(grid).draw(np.random.default_rng(0)), axis=2).max() == 0
