"""Several products: found in folders, read apart, in a row for training."""

import numpy as np
import pytest

from protores import presets, toy
from protores.errors import DataError, SettingsError
from protores.products import open_data, product_folders
from protores.progress import Progress


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """Two products of 64 x 64; beside them a folder that is none."""
    home = tmp_path_factory.mktemp("plant")
    toy.draw(home / "board", good=14, test_good=3, defects_per_kind=2, size=64)
    toy.draw(home / "lid", good=8, test_good=4, defects_per_kind=1, size=64)
    (home / "notes").mkdir()
    return home


@pytest.fixture(scope="module")
def opened(plant, tiny):
    changes = {"data.products": product_folders([plant]), "data.cache": "none", "split.seen": 2}
    return open_data(presets.load("quick", tiny | changes), False, Progress())


def test_a_folder_is_a_product_or_holds_some(plant):
    both = (plant / "board", plant / "lid")
    assert product_folders([plant]) == both
    assert product_folders([plant / "lid", plant / "board"]) == both[::-1]


def test_one_product_two_of_a_name_and_no_product_are_refused(plant, tmp_path):
    with pytest.raises(SettingsError, match="one product in .*board; leave out --multi"):
        product_folders([plant / "board"])
    with pytest.raises(SettingsError, match="two products are called board"):
        product_folders([plant, plant / "board"])
    with pytest.raises(DataError, match="no images in this folder"):
        product_folders([plant, plant / "notes"])


def test_added_images_are_refused_since_nobody_says_of_which_product(plant, tiny):
    settings = presets.load("quick", tiny | {"data.products": product_folders([plant]), "data.add": (plant / "lid",)})
    with pytest.raises(SettingsError, match="leave out --add or --multi"):
        open_data(settings, False, Progress())


@pytest.mark.parametrize("role", ["train", "seen", "calibration", "test"])
def test_roles_are_those_of_each_product_in_a_row(opened, role):
    products, _ = opened
    joined, apart = products.role(role), [part.role(role) for part in products.parts]
    assert len(joined) == sum(map(len, apart)) == len(products.split.indices(role))
    assert joined.kinds == apart[0].kinds + apart[1].kinds
    assert joined.paths == apart[0].paths + apart[1].paths
    np.testing.assert_array_equal(joined.images[:], np.concatenate([own.images[:] for own in apart]))
    np.testing.assert_array_equal(joined.masks[:], np.concatenate([own.masks[:] for own in apart]))


def test_the_split_names_the_product_of_each_image(opened):
    products, settings = opened
    assert products.names == ("board", "lid") == settings.products
    assert {entry.path.split("/")[0] for entry in products.split.entries} == {"board", "lid"}
    assert all(note.startswith(("board: ", "lid: ")) for note in products.split.notes)
    again = open_data(settings, False, Progress())[0]
    assert again.split.hash == products.split.hash
