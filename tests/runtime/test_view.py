"""Tiles put together are the whole, without a seam."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.data.image import fit_box, network_input, resize_image
from protores.errors import SettingsError
from protores.runtime.inspector import Inspector
from protores.runtime.view import Tiles, Tiling, Whole

SIZE = (64, 96)


def stitched(tiles: Tiles, image: np.ndarray, network) -> np.ndarray:
    return tiles.join(np.stack([network(tile) for tile in tiles.cut(image)]).astype(np.float32), image.shape[:2])


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.01, 0.9), st.sampled_from([0.3, 0.5, 1.0, 1.7]))
def test_what_every_tile_sees_alike_comes_back(height, width, overlap, scale):
    """Weights sum to 1 everywhere, whatever the size, and every pixel lands where it came from."""
    image = np.add.outer(np.arange(height), np.arange(width) * 2)[..., None].repeat(3, 2).astype(np.uint8)
    tiles = Tiles(SIZE, Tiling(overlap, scale))
    joined = stitched(tiles, image, lambda tile: tile[..., 0])
    assert tiles.box(image.shape[:2]) == (0, 0, *joined.shape)
    np.testing.assert_allclose(joined, resize_image(image, joined.shape)[..., 0], atol=0.01)


@settings(deadline=None)
@given(st.integers(65, 400), st.integers(97, 500), st.sampled_from([0.25, 0.4, 0.6]))
def test_what_a_tile_makes_of_its_edge_counts_nothing(height, width, overlap):
    """Up to a quarter of the overlap from an edge that is not the image's, a map may be anything."""
    tiles = Tiles(SIZE, Tiling(overlap))
    margin = [int(side * overlap) // 4 for side in SIZE]
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = tiles._starts(image.shape)
    maps = np.full((len(rows) * len(columns), *SIZE), np.nan, np.float32)
    for i, own in enumerate(maps):
        y, x = rows[i // len(columns)], columns[i % len(columns)]
        top, left = margin[0] if y else 0, margin[1] if x else 0
        bottom = SIZE[0] - (margin[0] if y + SIZE[0] < height else 0)
        right = SIZE[1] - (margin[1] if x + SIZE[1] < width else 0)
        own[:] = 1e6
        own[top:bottom, left:right] = 0.5
    np.testing.assert_allclose(tiles.join(maps, (height, width)), 0.5, atol=1e-4)


def test_tiles_that_disagree_meet_in_a_ramp():
    """No step is higher than the ramp's own slope: half the overlap takes it from one tile's value to the next."""
    tiles = Tiles(SIZE, Tiling(0.25))
    image = np.zeros((64, 400, 3), np.uint8)
    count = len(tiles.cut(image))
    maps = np.stack([np.full(SIZE, i % 2, np.float32) for i in range(count)])
    joined = tiles.join(maps, (64, 400))
    assert np.ptp(joined) == 1
    assert np.abs(np.diff(joined, axis=1)).max() <= 1 / (96 * 0.25 / 2) + 1e-6


def test_a_convolution_over_tiles_is_the_one_over_the_whole(make_bundle, convolved, rng):
    """A real network in a real runtime, whose map at a pixel depends on 2 pixels around it."""
    image = rng.integers(0, 256, (203, 351, 3), dtype=np.uint8)
    for runtime in ("openvino", "onnxruntime"):
        inspector = Inspector(make_bundle(SIZE, name=runtime), runtime, tiling=Tiling(0.25))
        result = inspector(image)
        np.testing.assert_allclose(result.network_map, convolved(image), atol=1e-5)
        np.testing.assert_array_equal(result.map, result.network_map)


def test_tiles_of_another_scale(make_bundle, convolved, image):
    result = Inspector(make_bundle(SIZE), tiling=Tiling(0.5, 2.0))(image)
    expected = convolved(resize_image(image, (200, 360)))
    np.testing.assert_allclose(result.network_map, expected, atol=1e-5)
    assert result.map.shape == (100, 180)


def test_an_image_smaller_than_a_tile_is_one_tile_with_its_edges_repeated(rng):
    tiles = Tiles(SIZE, Tiling())
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    (tile,) = tiles.cut(image)
    np.testing.assert_array_equal(tile, cv2.copyMakeBorder(image, 0, 24, 0, 46, cv2.BORDER_REPLICATE))
    assert tiles.join(np.ones((1, *SIZE), np.float32), (40, 50)).shape == (40, 50)


def test_masks_are_stretched_over_the_joined_map():
    ignore = np.array([[0, 1]], np.uint8)
    valid = Tiles(SIZE, Tiling()).valid((128, 200), ignore, None)
    assert valid is not None
    assert valid.shape == (128, 200)
    assert valid[:, :100].all()
    assert not valid[:, 100:].any()
    assert Tiles(SIZE, Tiling()).valid((128, 200), None, None) is None


def test_whole_is_what_training_sees(image):
    view = Whole(SIZE, True)
    np.testing.assert_array_equal(view.cut(image)[0], resize_image(image, SIZE, True))
    assert network_input(view.cut(image)).shape == (1, 3, *SIZE)
    assert view.box((100, 180)) == fit_box((100, 180), SIZE, True)


@pytest.mark.parametrize("wrong", [{"overlap": 0}, {"overlap": 1.0}, {"scale": 0}, {"scale": float("nan")}])
def test_tiles_that_cannot_be(wrong):
    with pytest.raises(SettingsError, match="give an overlap between 0 and 1 and a scale above 0"):
        Tiling(**wrong)
