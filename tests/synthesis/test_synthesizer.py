"""The synthesizer: same seed, same anomalies, in any process."""

import pickle
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.settings import SynthesisSettings
from protores.synthesis.synthesizer import Synthesizer

NONE_SEEN = (np.zeros((0, 256, 256, 3), np.uint8), np.zeros((0, 256, 256), np.uint8))


@pytest.fixture(scope="module")
def synthesizer(grid: np.ndarray, seen_grid: tuple[np.ndarray, np.ndarray]) -> Synthesizer:
    return Synthesizer(grid, *seen_grid, None, SynthesisSettings(), 0)


def draw(synthesizer: Synthesizer, image: np.ndarray, index: int) -> bytes:
    """One anomaly of either sort, seeded by its number alone."""
    rng = np.random.default_rng([3, index])
    made = (synthesizer.simulated if index % 2 else synthesizer.extended)(image, 0, rng)
    return made.image.tobytes() + made.mask.tobytes()


def test_same_seed_same_anomalies_in_any_order(synthesizer: Synthesizer, grid: np.ndarray) -> None:
    forward = [draw(synthesizer, grid[0], index) for index in range(20)]
    backward = [draw(synthesizer, grid[0], index) for index in reversed(range(20))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 20


def test_built_twice_it_is_the_same(
    synthesizer: Synthesizer, grid: np.ndarray, seen_grid: tuple[np.ndarray, np.ndarray]
) -> None:
    again = Synthesizer(grid, *seen_grid, None, SynthesisSettings(), 0)
    pickled = pickle.loads(pickle.dumps(synthesizer))
    for index in range(8):
        one = draw(synthesizer, grid[0], index)
        assert one == draw(again, grid[0], index)
        assert one == draw(pickled, grid[0], index)


def test_workers_draw_the_same(synthesizer: Synthesizer, grid: np.ndarray) -> None:
    tasks = [(synthesizer, grid[0], index) for index in range(6)]
    cv2.setNumThreads(1)  # a forked process hangs on the threads that OpenCV had in this one
    with get_context("fork").Pool(1) as pool:
        assert pool.starmap(draw, tasks) == [draw(*task) for task in tasks]


def test_texture_foregrounds_are_everywhere(synthesizer: Synthesizer, grid: np.ndarray) -> None:
    assert not synthesizer.is_object
    assert synthesizer.foregrounds.shape == grid.shape[:3]
    assert synthesizer.foregrounds[:].all()
    assert synthesizer.seen == 5


def test_objects_are_found_and_kept_to(nuts: tuple[np.ndarray, np.ndarray]) -> None:
    good, products = nuts
    synthesizer = Synthesizer(good, *NONE_SEEN, None, SynthesisSettings(), 0)
    assert synthesizer.is_object
    overlap = (synthesizer.foregrounds & products).sum() / (synthesizer.foregrounds | products).sum()
    assert overlap > 0.85
    rng = np.random.default_rng(0)
    for index in range(len(good)):
        made = synthesizer.simulated(good[index], index, rng)
        assert not (made.mask & (1 - synthesizer.foregrounds[index])).any()


def test_anomalies_lie_where_an_image_counts(grid: np.ndarray, seen_grid: tuple[np.ndarray, np.ndarray]) -> None:
    valid = np.zeros(grid.shape[:3], bool)
    valid[:, 100:160, 40:200] = True
    synthesizer = Synthesizer(grid, *seen_grid, None, SynthesisSettings(), 0, valid)
    rng = np.random.default_rng(0)
    for index in range(40):
        image = grid[index % len(grid)]
        for made in (
            synthesizer.simulated(image, index % len(grid), rng),
            synthesizer.simulated(image, None, rng, valid[0]),
            synthesizer.extended(image, index % len(grid), rng),
        ):
            assert made.mask.any()
            assert not made.mask[~valid[0]].any()
            np.testing.assert_array_equal(made.image[made.mask == 0], image[made.mask == 0])


def test_objects_keep_to_what_counts_of_them(nuts: tuple[np.ndarray, np.ndarray]) -> None:
    good, _ = nuts
    valid = np.zeros(good.shape[:3], bool)
    valid[:, :, : good.shape[2] // 2] = True
    whole = Synthesizer(good, *NONE_SEEN, None, SynthesisSettings(), 0)
    half = Synthesizer(good, *NONE_SEEN, None, SynthesisSettings(), 0, valid)
    np.testing.assert_array_equal(half.foregrounds, whole.foregrounds * valid)


def test_gray_products_get_gray_anomalies(synthesizer: Synthesizer, grid: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert np.ptp(synthesizer.simulated(grid[0], 0, rng).image, axis=2).max() == 0
        assert np.ptp(synthesizer.extended(grid[0], 0, rng).image, axis=2).max() == 0


def test_without_seen_anomalies_there_is_nothing_to_extend(grid: np.ndarray) -> None:
    synthesizer = Synthesizer(grid, *NONE_SEEN, None, SynthesisSettings(), 0)
    assert synthesizer.seen == 0
    with pytest.raises(ValueError, match="no seen anomalies"):
        synthesizer.extended(grid[0], 0, np.random.default_rng(0))


def test_textures_folder_is_used(grid: np.ndarray, tmp_path: Path) -> None:
    import cv2

    cv2.imencode(".png", np.full((30, 30, 3), 255, np.uint8))[1].tofile(tmp_path / "white.png")
    settings = SynthesisSettings(
        kinds={"perlin": 1.0}, sources={"folder": 1.0}, self_texture=0.0, blend=(0.0, 0.0), feather=0.0
    )
    synthesizer = Synthesizer(grid, *NONE_SEEN, tmp_path, settings, 0)
    black = np.zeros_like(grid[0])
    tones = [
        made.image[made.mask == 1].mean()
        for made in (synthesizer.simulated(black, 0, np.random.default_rng(seed)) for seed in range(20))
    ]
    assert np.mean(np.array(tones) > 250) >= 0.4
