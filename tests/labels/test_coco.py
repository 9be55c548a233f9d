"""COCO's instances: every way to write an outline."""

import json

import numpy as np
import pytest
from encoders import compressed, runs_of

from protores.errors import DataError

CATEGORIES = [{"id": 1, "name": "dent"}, {"id": 7, "name": "scratch", "supercategory": "x"}]


def write(path, names: dict[int, str], *annotations: dict, **changes):
    content = {
        "info": {}, "licenses": [], "categories": CATEGORIES,
        "images": [{"id": i, "file_name": name, "height": 24, "width": 32} for i, name in names.items()],
        "annotations": [
            {"id": n, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": 1.0, **annotation}
            for n, annotation in enumerate(annotations)
        ],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    return path


def test_every_outline(tmp_path, photo, imported, square, blob):
    names = {1: "two.png", 2: "runs.png", 3: "packed.png", 4: "box.png", 5: "crowd.png", 6: "part/1/deep.png"}
    for name in names.values():
        photo(tmp_path / "src" / "images" / name)
    size = [24, 32]
    write(
        tmp_path / "src" / "annotations" / "instances_default.json", names,
        {"image_id": 1, "segmentation": [[2, 2, 6, 2, 6, 5, 2, 5], [10, 10, 15, 10, 15, 20, 10, 20]]},
        {"image_id": 2, "segmentation": {"size": size, "counts": runs_of(blob.ravel("F"))}},
        {"image_id": 3, "segmentation": {"size": size, "counts": compressed(runs_of(blob.ravel("F")))}},
        {"image_id": 4, "bbox": [3, 4, 10, 6]},
        {"image_id": 5, "segmentation": {"size": size, "counts": runs_of(blob.ravel("F"))}, "iscrowd": 1},
        {"image_id": 6, "segmentation": [[0, 0, 8, 0, 8, 8, 0, 8]], "category_id": 7},
    )  # fmt: skip
    found = imported("coco", tmp_path / "src")
    expected = {
        "bad/dent/two.png": square(2, 2, 6, 5) | square(10, 10, 15, 20),
        "bad/dent/runs.png": blob,
        "bad/dent/packed.png": blob,
        "bad/dent/box.png": square(3, 4, 13, 10),
        "bad/dent/crowd.png": blob,
        "bad/scratch/part/1/deep.png": square(0, 0, 8, 8),
    }
    assert set(found) == set(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name][1], mask, err_msg=name)


def test_images_without_annotations_are_set_aside(tmp_path, photo, imported, square):
    photo(tmp_path / "1.png")
    photo(tmp_path / "2.png")
    source = write(tmp_path / "labels.json", {1: "1.png", 2: "2.png"}, {"image_id": 1, "bbox": [1, 1, 4, 4]})
    found = imported("coco", source)
    assert list(found) == ["bad/dent/1.png"]
    assert imported.result.set_aside == ("2.png",)


def test_several_files_and_an_image_in_two_of_them(tmp_path, photo, imported):
    photo(tmp_path / "src/1.png")
    photo(tmp_path / "src/2.png")
    write(tmp_path / "src/train.json", {1: "1.png"}, {"image_id": 1, "bbox": [1, 1, 4, 4]})
    write(tmp_path / "src/val.json", {1: "1.png"})
    with pytest.raises(DataError, match=r"1.png: is labelled twice, in train.json and in val.json; keep one"):
        imported("coco", tmp_path / "src")
    write(tmp_path / "src/val.json", {1: "2.png"}, {"image_id": 1, "bbox": [1, 1, 4, 4]})
    (tmp_path / "src/other.json").write_text("[1, 2]")
    assert set(imported("coco", tmp_path / "src")) == {"bad/dent/1.png", "bad/dent/2.png"}


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"segmentation": {"size": [24, 31], "counts": [744]}}, "run lengths for 31 x 24 pixels"),
        ({"segmentation": {"size": [24, 32], "counts": [700]}}, "a part that the tool does not write"),
        ({"segmentation": [[1, 2, 3]]}, "points "),
        ({"segmentation": [[1, 2, 3, 4]]}, "a shape of 2 points"),
        ({"category_id": 3}, "no 3"),
        ({"bbox": [1, 2]}, "a part that the tool does not write"),
    ],
)
def test_what_coco_does_not_write_is_an_error(tmp_path, photo, imported, annotation, message):
    photo(tmp_path / "1.png")
    source = write(tmp_path / "labels.json", {1: "1.png"}, {"image_id": 1, **annotation})
    with pytest.raises(DataError, match=f"labels.json: has {message}.* for 1.png"):
        imported("coco", source)


def test_what_is_no_coco_file(tmp_path, imported):
    with pytest.raises(DataError, match="annotates image 9, which it does not list; export it again"):
        imported("coco", write(tmp_path / "labels.json", {}, {"image_id": 9}))
    with pytest.raises(DataError, match="no COCO instances"):
        imported("coco", write(tmp_path / "labels.json", {}, images=[{"id": 1}]))
    (tmp_path / "labels.json").write_text("{")
    with pytest.raises(DataError, match="no JSON that can be read"):
        imported("coco", tmp_path / "labels.json")
