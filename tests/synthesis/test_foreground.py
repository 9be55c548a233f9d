"""The foreground: objects are found at any pose, textures are left whole."""

import numpy as np

from protores.synthesis.foreground import Foreground
from protores.toy import draw_good


def test_finds_objects(objects: tuple[np.ndarray, np.ndarray]) -> None:
    images, truth = objects
    foreground = Foreground.fit(images)
    assert foreground.is_object
    for image, product in zip(images, truth, strict=True):
        found = foreground(image)
        assert found.shape == product.shape
        assert found.dtype == np.uint8
        assert set(np.unique(found)) == {0, 1}
        assert (found & product).sum() > 0.97 * product.sum()
        outside = (found & (1 - product)).sum()
        outline = 4 * np.sqrt(product.sum()) + product.sum() ** 0.5 * 4
        assert outside < 6 * outline


def test_finds_an_unseen_pose(nuts: tuple[np.ndarray, np.ndarray]) -> None:
    images, truth = nuts
    found = Foreground.fit(images[:5])(images[6])
    assert (found & truth[6]).sum() / (found | truth[6]).sum() > 0.85


def test_textures_are_whole(textures: np.ndarray) -> None:
    foreground = Foreground.fit(textures)
    assert not foreground.is_object
    assert foreground(textures[0]).all()


def test_real_textures_are_whole(real: np.ndarray) -> None:
    foreground = Foreground.fit(real)
    assert not foreground.is_object
    assert foreground(real[0]).shape == real.shape[1:3]
    assert foreground(real[0]).all()


def test_an_empty_picture_of_an_object_falls_back_to_everywhere(nuts: tuple[np.ndarray, np.ndarray]) -> None:
    foreground = Foreground.fit(nuts[0])
    assert foreground.is_object
    assert foreground(np.full_like(nuts[0][0], 30)).all()


def test_what_the_user_knows_counts_for_more(objects: tuple[np.ndarray, np.ndarray], textures: np.ndarray) -> None:
    images, _ = objects
    whole = Foreground.fit(images, "texture")
    assert not whole.is_object
    assert whole(images[0]).all()
    assert Foreground.fit(images, "object") == Foreground.fit(images)
    assert Foreground.fit(textures, "object").is_object
    assert Foreground.fit(textures, "object")(textures[0]).any()


def test_one_flat_image_is_a_texture() -> None:
    assert not Foreground.fit(np.full((1, 64, 48, 3), 200, np.uint8)).is_object


def test_finds_the_toy_board() -> None:
    images = np.stack([draw_good(np.random.default_rng(seed), 192) for seed in range(8)])
    foreground = Foreground.fit(images)
    assert foreground.is_object
    for image in images:
        # The board is green, what it lies on is gray.
        green = image[..., 1].astype(int) > image[..., [0, 2]].max(axis=2) + 12
        found = foreground(image)
        assert found[green].mean() > 0.98
        assert found.mean() < 0.85
        assert green[found == 0].mean() < 0.02
