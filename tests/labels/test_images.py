import unicodedata
from pathlib import Path

import pytest

from protores.errors import DataError
from protores.labels.images import ImageFiles
from protores.labels.labelled import Labelled


def test_the_file_whose_path_ends_most_alike(tmp_path, photo):
    for name in ("a/x/1.png", "b/x/1.png", "2.png", "b/2.png"):
        photo(tmp_path / name)
    files = ImageFiles([tmp_path])

    def find(name: str) -> str | None:
        found = files.find(Labelled(name, Path("labels.json")))
        return None if found is None else found.relative_to(tmp_path).as_posix()

    assert find("b/x/1.png") == "b/x/1.png"
    assert find("images/a/x/1.png") == "a/x/1.png"
    assert find("3.png") is None
    with pytest.raises(DataError, match=r"x/1.png: may be .*a/x/1.png or .*b/x/1.png; name the folder .* --images"):
        find("x/1.png")


def test_accents_count_alike_however_they_are_composed(tmp_path, photo):
    written = photo(tmp_path / unicodedata.normalize("NFD", "für Ä") / "größe.png")
    name = unicodedata.normalize("NFC", "für Ä/größe.png")
    assert ImageFiles([tmp_path]).find(Labelled(name, Path("labels.json"))) == written


def test_label_studios_prefix_is_taken_off_only_where_it_must_be(tmp_path, photo):
    photo(tmp_path / "1.png")
    labelled = Labelled("0a1b2c3d-1.png", Path("labels.json"))
    assert ImageFiles([tmp_path]).find(labelled).name == "1.png"
    photo(tmp_path / "0a1b2c3d-1.png")
    assert ImageFiles([tmp_path]).find(labelled).name == "0a1b2c3d-1.png"


def test_of_two_folders_the_same_file_counts_once(tmp_path, photo):
    one = photo(tmp_path / "1.png")
    assert ImageFiles([tmp_path, tmp_path]).find(Labelled("1.png", Path("labels.json"))) == one
