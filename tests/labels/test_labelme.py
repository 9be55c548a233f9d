"""labelme's JSON as its versions 3 to 6 write it."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores.data.image import read_image
from protores.errors import DataError


def shape(label: str, kind: str, points: list, mask: np.ndarray | None = None) -> dict:
    encoded = None if mask is None else base64.b64encode(cv2.imencode(".png", mask)[1].tobytes()).decode()
    return {
        "label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {},
        "mask": encoded,
    }  # fmt: skip


def annotate(image: Path, *shapes: dict, size: tuple[int, int] = (24, 32), **changes) -> Path:
    content = {
        "version": "6.3.1", "flags": {}, "shapes": list(shapes), "imagePath": image.name, "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    }  # fmt: skip
    path = image.with_suffix(".json")
    path.write_text(json.dumps(content | changes, ensure_ascii=False), encoding="utf-8")
    return path


def test_every_shape(tmp_path, photo, imported, square, blob):
    disc = ((np.mgrid[:24, :32] + 0.5 - np.array([12, 14])[:, None, None]) ** 2).sum(0) <= 25
    y, x = np.mgrid[:24, :32] + 0.5
    rod = (np.maximum(0, abs(x - 12.5) - 7.5) ** 2 + (y - 10) ** 2 <= 4).astype(np.uint8)
    corners = np.zeros((24, 32), np.uint8)
    corners[[6, 6, 9, 9], [6, 9, 6, 9]] = 1
    tilted = np.zeros((24, 32), np.uint8)
    for row in range(24):
        tilted[row] = (abs(np.arange(32) + 0.5 - 16) + abs(row + 0.5 - 12) <= 6.25).astype(np.uint8)
    expected = {
        "polygon": (shape("a", "polygon", [[4, 3], [12.2, 3.1], [12.1, 9], [4, 9]]), square(4, 3, 12, 9)),
        "rectangle": (shape("a", "rectangle", [[20.0, 15.0], [10.0, 5.0]]), square(10, 5, 20, 15)),
        "oriented": (shape("a", "oriented_rectangle", [[16, 5.75], [22.25, 12], [16, 18.25], [9.75, 12]]), tilted),
        "circle": (shape("a", "circle", [[14, 12], [14, 17]]), disc.astype(np.uint8)),
        "line": (shape("a", "line", [[5, 10], [20, 10]]), rod),
        "linestrip": (shape("a", "linestrip", [[5, 10], [12, 10], [20, 10]]), rod),
        "point": (shape("a", "point", [[8, 8]]), square(6, 6, 10, 10) - corners),
        "mask": (shape("a", "mask", [[3, 2], [28, 19]], blob[2:20, 3:29] * np.uint8(255)), None),
        "bits": (shape("a", "mask", [[3, 2], [28, 19]], blob[2:20, 3:29]), None),
    }
    for name, (one, _) in expected.items():
        annotate(photo(tmp_path / "src" / f"{name}.png"), one)
    found = imported("labelme", tmp_path / "src", line_width=4)
    cut = blob.copy()
    cut[20:] = cut[:2] = 0
    cut[:, :3] = cut[:, 29:] = 0
    for name, (_, mask) in expected.items():
        kind, read = found[f"bad/a/{name}.png"]
        assert kind == "a"
        np.testing.assert_array_equal(read, cut if mask is None else mask, err_msg=name)


def test_flags_are_tags_and_nothing_else_makes_an_image_good(tmp_path, photo, imported):
    annotate(photo(tmp_path / "src/ok.png"), flags={"good": True, "blurred": False})
    annotate(photo(tmp_path / "src/bad.png"), flags={"good": False, "rust": True})
    annotate(photo(tmp_path / "src/empty.png"))
    photo(tmp_path / "src/bare.png")
    found = imported("labelme", tmp_path / "src")
    assert {path: kind for path, (kind, _) in found.items()} == {"good/ok.png": "good", "bad/rust/bad.png": "rust"}
    assert found["bad/rust/bad.png"][1] is None
    assert imported.result.unmasked == ("bad.png",)
    assert set(imported.result.set_aside) == {"empty.png", "bare.png"}


def test_images_without_labels_are_good_only_if_asked_for(tmp_path, photo, imported):
    annotate(photo(tmp_path / "src/empty.png"))
    photo(tmp_path / "src/sub/bare.png")
    assert set(imported("labelme", tmp_path / "src", good_if_empty=True)) == {"good/empty.png", "good/sub/bare.png"}


def test_an_image_inside_its_json(tmp_path, photo, imported, square):
    image = photo(tmp_path / "away" / "größe 1.png")
    content = base64.b64encode(image.read_bytes()).decode()
    path = annotate(image, shape("ritz", "rectangle", [[1, 2], [5, 6]]), imageData=content, imagePath="größe 1.png")
    (tmp_path / "src").mkdir()
    path.rename(tmp_path / "src" / path.name)
    found = imported("labelme", tmp_path / "src")
    assert list(found) == ["bad/ritz/größe 1.png"]
    np.testing.assert_array_equal(found["bad/ritz/größe 1.png"][1], square(1, 2, 5, 6))
    np.testing.assert_array_equal(read_image(tmp_path / "data/bad/ritz/größe 1.png"), read_image(image))


def test_paths_of_windows_and_of_other_folders(tmp_path, photo, imported):
    image = photo(tmp_path / "src" / "images" / "1.png")
    path = annotate(image, shape("a", "rectangle", [[1, 2], [5, 6]]), imagePath="..\\images\\1.png")
    (tmp_path / "src" / "labels").mkdir()
    path.rename(tmp_path / "src" / "labels" / "1.json")
    assert list(imported("labelme", tmp_path / "src")) == ["bad/a/labels/1.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape_type": "cuboid"}, "a shape 'cuboid' of 2 points"),
        ({"points": [[1, "x"], [2, 3]]}, "a coordinate 'x'"),
        ({"points": [[1, float("nan")], [2, 3]]}, "a coordinate nan"),
        ({"points": 7}, "points 7"),
        ({"points": []}, "a shape of 0 points"),
        ({"shape_type": "mask"}, "base64 data that are damaged"),
        ({"shape_type": "mask", "mask": "AAAA"}, "a mask that is no image"),
    ],
)
def test_what_labelme_does_not_write_is_an_error_with_a_cure(tmp_path, photo, imported, changes, message):
    annotate(photo(tmp_path / "src/1.png"), shape("a", "rectangle", [[1, 2], [5, 6]]) | changes)
    annotate(photo(tmp_path / "src/2.png"), shape("a", "rectangle", [[1, 2], [5, 6]]))
    with pytest.raises(DataError, match=f"1.json: has {message} for 1.json; correct it, or pass --skip-bad"):
        imported("labelme", tmp_path / "src")
    assert not (tmp_path / "data").exists()
    assert list(imported("labelme", tmp_path / "src", skip_bad=True)) == ["bad/a/2.png"]
    assert len(imported.result.left_out) == 1
