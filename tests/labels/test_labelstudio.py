"""Label Studio's JSON export."""

import json
from pathlib import Path

import numpy as np
import pytest

from protores.errors import DataError

WIDTH, HEIGHT = 32, 24


def region(kind: str, value: dict, label: str | None = "dent", **changes) -> dict:
    """As the export has it; a label belongs into the value, under the region's type."""
    named = {kind: [label]} if label and kind.endswith("labels") else {}
    return {
        "id": "Dx_aB91ISN", "from_name": "tag", "to_name": "img", "type": kind, "origin": "manual",
        "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "value": {**value, **named}, **changes,
    }  # fmt: skip


def percent(x: float, y: float) -> tuple[float, float]:
    return 100 * x / WIDTH, 100 * y / HEIGHT


def rectangle(left: float, top: float, width: float, height: float, rotation: float = 0) -> dict:
    (x, y), (w, h) = percent(left, top), percent(width, height)
    return {"x": x, "y": y, "width": w, "height": h, "rotation": rotation}


def task(image: str, *regions: dict, **changes) -> dict:
    annotation = {
        "id": 1, "completed_by": 1, "result": list(regions), "was_cancelled": False, "ground_truth": False,
        "updated_at": "2026-03-09T22:16:08.728378Z", "result_count": len(regions), **changes,
    }  # fmt: skip
    return {
        "id": 1, "data": {"image": image}, "annotations": [annotation], "drafts": [], "predictions": [], "meta": {},
        "file_upload": Path(image).name, "total_annotations": 1,
    }  # fmt: skip


def write(path: Path, *tasks: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(tasks)), encoding="utf-8")
    return path


def brush(mask: np.ndarray) -> list[int]:
    """Runs of up to 16 values, of the four channels of a mask in white."""
    values = np.repeat((mask * 255)[..., None], 4, axis=2).ravel()
    bits = f"{len(values):032b}{7:05b}" + f"{3:04b}" * 4
    ends = [*(np.flatnonzero(np.diff(values)) + 1), len(values)]
    start = 0
    for end in map(int, ends):
        while start < end:
            count = min(16, end - start)
            bits += f"100{count - 1:04b}{values[start]:08b}"
            start += count
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_every_shape(tmp_path, photo, imported, square, blob):
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    points = [percent(*corner) for corner in ((4, 3), (12, 3), (12, 9), (4, 9))]
    (cx, cy), (rx, ry) = percent(16, 12), percent(9, 4)
    u, v = (x - 16) * np.cos(np.pi / 6) + (y - 12) * 0.5, (y - 12) * np.cos(np.pi / 6) - (x - 16) * 0.5
    shapes = {
        "polygon": ([region("polygonlabels", {"points": points, "closed": True})], square(4, 3, 12, 9)),
        "rectangle": ([region("rectanglelabels", rectangle(10, 5, 10, 10))], square(10, 5, 20, 15)),
        "turned": ([region("rectanglelabels", rectangle(20, 5, 12, 4, 90))], square(16, 5, 20, 17)),
        "ellipse": (
            [region("ellipselabels", {"x": cx, "y": cy, "radiusX": rx, "radiusY": ry, "rotation": 30})],
            ((u / 9) ** 2 + (v / 4) ** 2 <= 1).astype(np.uint8),
        ),
        "brush": ([region("brushlabels", {"format": "rle", "rle": brush(blob)})], blob),
        "keypoint": (
            [region("keypointlabels", {"x": cx, "y": cy, "width": 0.5})],
            ((x - 16) ** 2 + (y - 12) ** 2 <= 4).astype(np.uint8),
        ),
        "apart": (
            [
                region("rectangle", rectangle(1, 2, 3, 4), None),
                region("labels", {**rectangle(1, 2, 3, 4), "labels": ["dent"]}, None),
            ],
            square(1, 2, 4, 6),
        ),
    }
    for name in shapes:
        photo(tmp_path / "src" / f"{name}.png")
    write(tmp_path / "src/export.json", *(task(f"/data/upload/3/{n}.png", *r) for n, (r, _) in shapes.items()))
    found = imported("labelstudio", tmp_path / "src", line_width=4)
    for name, (_, mask) in shapes.items():
        np.testing.assert_array_equal(found[f"bad/dent/{name}.png"][1], mask, err_msg=name)


def test_paths_of_every_storage(tmp_path, photo, imported):
    photo(tmp_path / "img" / "1.png")
    photo(tmp_path / "img" / "line 2" / "2.png")
    photo(tmp_path / "img" / "line 1" / "2.png")
    photo(tmp_path / "img" / "3.png")
    photo(tmp_path / "img" / "ü 4.png")
    one = region("rectanglelabels", rectangle(1, 2, 3, 4))
    source = write(
        tmp_path / "labels" / "export.json",
        task("/data/upload/3/0a1b2c3d-1.png", one),
        task("/data/local-files/?d=line%202/2.png", one),
        task("s3://bucket/some/3.png", one),
        task("http://host:8080/files/%C3%BC%204.png?token=a", one),
    )
    assert set(imported("labelstudio", source, tmp_path / "img")) == {
        "bad/dent/0a1b2c3d-1.png", "bad/dent/line 2/2.png", "bad/dent/3.png", "bad/dent/ü 4.png",
    }  # fmt: skip
    copied = (tmp_path / "data/bad/dent/line 2/2.png").read_bytes()
    assert copied == (tmp_path / "img/line 2/2.png").read_bytes()


def test_what_was_reviewed_is_good_and_nothing_else(tmp_path, photo, imported):
    names = ("empty", "skipped", "undone", "chosen", "rust", "both")
    for name in names:
        photo(tmp_path / f"{name}.png")
    choice = {"type": "choices", "from_name": "c", "to_name": "img", "id": "c"}
    source = write(
        tmp_path / "export.json",
        task("/data/upload/1/empty.png"),
        task("/data/upload/1/skipped.png", was_cancelled=True),
        {**task("/data/upload/1/undone.png"), "annotations": [], "predictions": [{"result": []}]},
        task("/data/upload/1/chosen.png", {**choice, "value": {"choices": ["Good"]}}),
        task("/data/upload/1/rust.png", {**choice, "value": {"choices": ["rust"]}}),
        task(
            "/data/upload/1/both.png",
            {**choice, "value": {"choices": ["good"]}},
            region("rectanglelabels", rectangle(1, 2, 3, 4)),
        ),
    )
    found = imported("labelstudio", source)
    assert {path: kind for path, (kind, _) in found.items()} == {
        "good/empty.png": "good", "good/chosen.png": "good", "bad/rust/rust.png": "rust",
    }  # fmt: skip
    assert imported.result.set_aside == ("skipped.png", "undone.png", "both.png")
    assert imported.result.unmasked == ("rust.png",)


def test_of_several_annotations_the_ground_truth_or_the_newest_counts(tmp_path, photo, imported, square):
    def several(name: str, *changes: dict) -> dict:
        made = task(name)
        made["annotations"] = [
            {**made["annotations"][0], "result": [region("rectanglelabels", rectangle(n, n, 3, 4))], **change}
            for n, change in enumerate(changes)
        ]
        return made

    photo(tmp_path / "a.png")
    photo(tmp_path / "b.png")
    source = write(
        tmp_path / "export.json",
        several("a.png", {"updated_at": "2026-01-02"}, {"updated_at": "2026-01-03"}, {"updated_at": "2026-01-01"}),
        several("b.png", {"ground_truth": True, "updated_at": "2025"}, {}, {"was_cancelled": True}),
    )
    found = imported("labelstudio", source)
    np.testing.assert_array_equal(found["bad/dent/a.png"][1], square(1, 1, 4, 5))
    np.testing.assert_array_equal(found["bad/dent/b.png"][1], square(0, 0, 3, 4))


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (region("rectanglelabels", rectangle(1, 2, 3, 4), image_rotation=90), "an image that was turned while"),
        (region("vectorlabels", {"vertices": []}), "a shape 'vectorlabels' that outlines no area"),
        (region("polygonlabels", {"points": [[1, 2], [3, 4]]}), "a shape of 2 points"),
        (region("brushlabels", {"format": "rle", "rle": [0, 0, 1]}), "a part that the tool does not write"),
        (region("rectanglelabels", {"x": 1}), "a shape 'rectanglelabels' that outlines no area"),
    ],
)
def test_what_cannot_be_read_is_an_error(tmp_path, photo, imported, one, message):
    photo(tmp_path / "1.png")
    with pytest.raises(DataError, match=f"export.json: has {message}"):
        imported("labelstudio", write(tmp_path / "export.json", task("1.png", one)))


def test_json_min_is_told_from_json(tmp_path, imported):
    source = write(tmp_path / "export.json", {"image": "/data/upload/1/1.png", "id": 1, "label": []})
    with pytest.raises(DataError, match="tasks without annotations; .* as JSON, not JSON-MIN"):
        imported("labelstudio", source)
