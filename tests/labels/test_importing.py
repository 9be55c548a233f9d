"""From labels to a folder: which kind, which mask, what is set aside, and nothing half-written."""

import json
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from protores.data.image import read_image
from protores.data.layouts import recognise
from protores.data.splits import make_split
from protores.data.store import ImageStore
from protores.errors import DataError, RunError, SettingsError
from protores.labels.importing import import_masks
from protores.settings import SplitSettings


def annotate(path: Path, images: dict[str, list], size: tuple[int, int] = (24, 32), flags: dict | None = None) -> Path:
    """labelme's files for rectangles (label, left, top, right, bottom); returns their folder."""
    for name, boxes in images.items():
        shapes = [
            {"label": label, "shape_type": "rectangle", "points": [corners[:2], corners[2:]]}
            for label, *corners in boxes
        ]
        file = path / Path(name).with_suffix(".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"shapes": shapes, "imagePath": Path(name).name, "imageHeight": size[0], "imageWidth": size[1]}
        file.write_text(json.dumps(content | {"flags": flags or {}}))
    return path


def test_several_labels_make_one_mask_and_the_kind_that_covers_most(tmp_path, photo, imported, square):
    photo(tmp_path / "src/1.png")
    photo(tmp_path / "src/2.png")
    boxes = [("dent", 0, 0, 3, 3), ("scratch", 10, 10, 20, 12), ("dent", 1, 0, 4, 3)]
    annotate(tmp_path / "src", {"1.png": boxes, "2.png": [("b", 0, 0, 2, 2), ("a", 5, 5, 7, 7)]})
    found = imported("labelme", tmp_path / "src")
    assert set(found) == {"bad/scratch/1.png", "bad/a/2.png"}
    np.testing.assert_array_equal(found["bad/scratch/1.png"][1], square(0, 0, 4, 3) | square(10, 10, 20, 12))
    assert imported.result.kinds == {"scratch": 1, "a": 1}


def test_labels_that_mark_no_defect(tmp_path, photo, imported, square):
    names = ("part", "both", "fine")
    for name in names:
        photo(tmp_path / f"src/{name}.png")
    board = ("Board", 0, 0, 32, 24)
    source = annotate(
        tmp_path / "src",
        {"part.png": [board], "both.png": [board, ("dent", 1, 1, 3, 3)], "fine.png": [("i.O.", 0, 0, 9, 9)]},
    )
    found = imported("labelme", source, ignore_labels=("board",), good_labels=("I.O.",))
    assert set(found) == {"bad/dent/both.png", "good/fine.png"}
    np.testing.assert_array_equal(found["bad/dent/both.png"][1], square(1, 1, 3, 3))
    assert imported.result.set_aside == ("part.png",)


@pytest.mark.parametrize("label", ["good", "Good", " good. "])
def test_a_kind_is_never_called_good(tmp_path, photo, imported, label):
    photo(tmp_path / "src/1.png")
    annotate(tmp_path / "src", {"1.png": [(label, 0, 0, 9, 9), ("dent", 0, 0, 3, 3)]})
    with pytest.raises(DataError, match="no image is left to import, 1 are set aside; label them"):
        imported("labelme", tmp_path / "src", good_labels=("fine",))


def test_outlines_that_lie_outside_make_a_defect_without_a_mask(tmp_path, photo, imported):
    photo(tmp_path / "src/1.png")
    annotate(tmp_path / "src", {"1.png": [("dent", 40, 40, 50, 50)]})
    assert imported("labelme", tmp_path / "src") == {"bad/dent/1.png": ("dent", None)}
    assert imported.result.unmasked == ("1.png",)


@pytest.mark.parametrize("exif", range(1, 9))
def test_labels_are_where_they_were_seen_on_a_turned_photo(tmp_path, photo, imported, square, exif):
    """The tools show photos upright, and so do we read them."""
    photo(tmp_path / "src/1.jpg", exif=exif)
    shown = read_image(tmp_path / "src/1.jpg").shape[:2]
    assert shown == ((32, 24) if exif > 4 else (24, 32))
    annotate(tmp_path / "src", {"1.jpg": [("dent", 2, 3, 9, 5)]}, shown)
    found = imported("labelme", tmp_path / "src")
    np.testing.assert_array_equal(found["bad/dent/1.jpg"][1], square(2, 3, 9, 5, shown))


@pytest.mark.parametrize("exif", [5, 6, 7, 8])
def test_labels_of_a_photo_that_was_not_turned_are_turned_with_it(tmp_path, photo, imported, square, exif):
    """A tool that does not know EXIF states the size as stored. The label's content goes where the photo's does."""
    path = photo(tmp_path / "src/1.jpg", exif=exif)
    annotate(tmp_path / "src", {"1.jpg": [("dent", 2, 3, 9, 5)]}, (24, 32))
    mask = imported("labelme", tmp_path / "src")["bad/dent/1.jpg"][1]
    stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    shown = read_image(path)[..., 0]
    assert stored.shape == (24, 32)
    assert mask.shape == shown.shape
    np.testing.assert_array_equal(np.sort(shown[mask > 0]), np.sort(stored[square(2, 3, 9, 5) > 0]))


def test_an_image_of_another_size_than_it_was_labelled_at(tmp_path, photo, imported):
    photo(tmp_path / "src/1.png")
    annotate(tmp_path / "src", {"1.png": [("dent", 2, 3, 9, 5)]}, (48, 64))
    with pytest.raises(DataError, match="1.png: was labelled at 64 x 48 pixels but is 32 x 24; put the image there"):
        imported("labelme", tmp_path / "src")


def test_the_same_names_in_several_folders_and_with_several_endings(tmp_path, photo, imported):
    names = ("a/1.png", "b/1.png", "1_mask.png", "1.png")
    for name in (*names, "a/1.jpg"):
        photo(tmp_path / "src" / name)
    source = annotate(tmp_path / "src", {name: [("dent", 1, 1, 5, 5)] for name in names})
    second = json.loads((source / "a/1.json").read_text()) | {"imagePath": "1.jpg"}
    (source / "a/1 second.json").write_text(json.dumps(second))
    found = imported("labelme", source)
    assert set(found) == {
        "bad/dent/1.png", "bad/dent/1-mask.png", "bad/dent/a/1.jpg", "bad/dent/a/1-2.png", "bad/dent/b/1.png",
    }  # fmt: skip
    assert all(mask is not None for _, mask in found.values())


def test_an_image_that_is_missing(tmp_path, photo, imported):
    photo(tmp_path / "src/1.png")
    source = annotate(tmp_path / "src", {name: [("dent", 1, 1, 5, 5)] for name in ("1.png", "2.png", "3.png")})
    with pytest.raises(DataError, match=r"2.png: is not below .*src; name its folder by --images, .* \(2 such images"):
        imported("labelme", source)
    photo(tmp_path / "more" / "2.png")
    found = imported("labelme", source, tmp_path / "more", skip_bad=True)
    assert set(found) == {"bad/dent/1.png", "bad/dent/2.png"}
    assert "3.png" in imported.result.left_out[0]
    assert any(line.startswith("left out") and "3.png" in line for line in imported.result.lines())


def test_an_image_that_is_damaged(tmp_path, photo, imported):
    path = photo(tmp_path / "src/1.png")
    path.write_bytes(path.read_bytes()[:-50])
    annotate(tmp_path / "src", {"1.png": [("dent", 1, 1, 5, 5)]})
    with pytest.raises(DataError, match="1.png: cut off"):
        imported("labelme", tmp_path / "src")
    with pytest.raises(DataError, match="1.png: cut off"):
        imported("labelme", tmp_path / "src", skip_bad=True)


def test_images_stay_as_they_were_to_the_byte(tmp_path, photo, imported):
    path = photo(tmp_path / "src/1.jpg", exif=6)
    annotate(tmp_path / "src", {"1.jpg": [("dent", 1, 1, 5, 5)]}, (32, 24))
    imported("labelme", tmp_path / "src")
    assert (tmp_path / "data/bad/dent/1.jpg").read_bytes() == path.read_bytes()


def test_nothing_is_left_half_written(tmp_path, photo, imported, monkeypatch):
    photo(tmp_path / "src/1.png")
    photo(tmp_path / "src/2.png")
    source = annotate(tmp_path / "src", {name: [("dent", 1, 1, 5, 5)] for name in ("1.png", "2.png")})
    copy, copied = shutil.copyfile, []

    def fails(source, target):
        copied.append(copy(source, target))
        if len(copied) == 2:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fails)
        with pytest.raises(RunError, match="disk of .*data is full; free some space"):
            imported("labelme", source)
    assert [path.name for path in tmp_path.iterdir()] == ["src"]
    imported("labelme", source)
    with pytest.raises(RunError, match="data exists already; delete it or pass another --out"):
        imported("labelme", source)


def test_what_cannot_be_imported_from(tmp_path, imported):
    with pytest.raises(SettingsError, match="unknown tool 'voc'; choose labelme, coco, cvat, labelstudio"):
        imported("voc", tmp_path)
    with pytest.raises(DataError, match="no such file or folder; name what the tool exported"):
        imported("coco", tmp_path / "nowhere")
    with pytest.raises(DataError, match="no labels of coco in there"):
        imported("coco", tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_one_line(tmp_path, imported, rng, method):
    """Each way of packing raises errors of its own where a byte is wrong."""
    with zipfile.ZipFile(tmp_path / "export.zip", "w", method) as packed:
        packed.writestr("labels.txt", rng.bytes(1000).hex())
    whole = (tmp_path / "export.zip").read_bytes()
    refused = 0
    for place in range(30, len(whole), 7):
        (tmp_path / "export.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(DataError) as error:
            imported("cvat", tmp_path / "export.zip")
        assert "\n" not in str(error.value)
        refused += "unpack it and name the folder" in str(error.value)
    assert refused > 50
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]


def test_a_zip_that_would_fill_the_disk_is_not_unpacked(tmp_path, imported, monkeypatch):
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("labels.txt", bytes(64 << 20))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=31 << 20))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(DataError, match="its files take 64 MiB and .* has 31"):
        imported("cvat", tmp_path / "export.zip")


def test_what_was_imported_trains(tmp_path, photo):
    """The folder as training reads it: defects with masks are seen, those without are tested on at most."""
    images = {f"{n:02}.png": [("dent", 2, 3, 9, 9)] for n in range(4)}
    for name in (*images, *(f"ok{n:02}.png" for n in range(12)), "tagged.png"):
        photo(tmp_path / "src" / name)
    annotate(tmp_path / "src", images)
    annotate(tmp_path / "src", {f"ok{n:02}.png": [] for n in range(12)}, flags={"good": True})
    annotate(tmp_path / "src", {"tagged.png": []}, flags={"dent": True})
    imported = import_masks("labelme", tmp_path / "src", tmp_path / "data")
    assert imported.lines() == [
        f"imported  {tmp_path / 'data'}: 12 good; 5 dent",
        "no mask   1 images (tagged.png): they are tested on, but do not train",
    ]
    dataset = recognise(tmp_path / "data")
    store = ImageStore.build(dataset.samples, (24, 32), False, 16)
    split = make_split(store.records, dataset.has_test, SplitSettings(seen=4), 0, dataset.root)
    assert len(split.indices("seen")) == 4
    assert [entry.role for entry in split.entries if "tagged" in entry.path] == ["test"]
