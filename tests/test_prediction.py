"""Scores, maps and overlays for files that nobody has labelled: the same figures as judging, at each image's size."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores import toy, workflow
from protores.errors import DataError
from protores.judgement import judge
from protores.product import open_product
from protores.progress import Progress
from protores.run import Run


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def anomaly_map(into: Path, name: str) -> np.ndarray:
    return cv2.imread(str(into / f"{name}_map.png"), cv2.IMREAD_UNCHANGED)


def board(seed: int = 50, size: int = 64) -> np.ndarray:
    return toy.draw_good(np.random.default_rng(seed), size)


def judged(run: Path) -> dict[str, float]:
    """Scores of the run's own test images, by path."""
    kept = Run(run)
    settings = kept.read_settings()
    product, _ = open_product(settings, False, Progress())
    found = judge(kept.load_network(settings), product.role("test"), settings, set())
    return {str(path): float(score) for path, score in zip(found.images.paths, found.scores, strict=True)}


def test_a_folder_gives_a_map_an_overlay_and_a_row_each(tiny_run, tiny_product, tmp_path):
    folder = tiny_product / "test" / "good"
    predictions = workflow.predict(tiny_run, [folder], tmp_path / "found")
    names = {f"{n:03d}_{what}.png" for n in range(5) for what in ("map", "overlay")}
    assert {path.name for path in (tmp_path / "found").iterdir()} == names | {"predictions.csv"}
    rows = list(csv.DictReader((tmp_path / "found" / "predictions.csv").open(newline="")))
    assert [row["image"] for row in rows] == [str(p.path) for p in predictions] == sorted(map(str, folder.iterdir()))
    for row, prediction in zip(rows, predictions, strict=True):
        assert float(row["score"]) == pytest.approx(prediction.score, abs=1e-6)
        assert 0 <= prediction.score <= prediction.peak <= 1
        assert prediction.area is not None
        assert 0 <= prediction.area <= 1
        assert (tmp_path / "found" / row["overlay"]).exists()


def test_scores_are_those_of_judging(tiny_run, tiny_product, tmp_path):
    expected = judged(tiny_run)
    predictions = workflow.predict(tiny_run, [Path(path) for path in expected], tmp_path / "found")
    assert {str(p.path): p.score for p in predictions} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("setting", ["ignore", "keep_aspect"])
def test_what_does_not_count_in_judging_does_not_count_here(tiny_product, tiny, tmp_path, setting):
    ignore = np.zeros((64, 64), np.uint8)
    ignore[:, :40] = 255
    value = str(write(tmp_path / "ignore.png", ignore)) if setting == "ignore" else "true"
    data = shutil.copytree(tiny_product, tmp_path / "data")
    for path in (data / "test").rglob("*.png"):  # flat images, that keep_aspect gives a border
        if setting == "keep_aspect":
            write(path, cv2.imread(str(path))[10:50])
    for path in (data / "ground_truth").rglob("*.png"):
        if setting == "keep_aspect":
            write(path, cv2.imread(str(path), 0)[10:50])
    changes = {"training.steps": 1, "split.seen": 0, f"data.{setting}": value}
    workflow.train(data, tmp_path / "run", "quick", tiny | changes)
    expected = judged(tmp_path / "run")
    predictions = workflow.predict(tmp_path / "run", [Path(path) for path in expected], tmp_path / "found")
    assert {str(p.path): p.score for p in predictions} == pytest.approx(expected, abs=1e-5)
    if setting == "ignore":
        found = anomaly_map(tmp_path / "found", predictions[0].path.stem)
        assert not found[:, :40].any()
        assert found[:, 40:].any()


def test_maps_have_the_size_of_their_images(tiny_run, tmp_path):
    images = [
        write(tmp_path / "odd.png", board(size=97)[:, :61]),
        write(tmp_path / "gray.png", board()[..., 0]),
        write(tmp_path / "deep.tif", board()[..., 0].astype(np.uint16) * 257),
        write(tmp_path / "large.bmp", board(size=200)),
        write(tmp_path / "tiny.png", board()[:5, :3]),
        write(tmp_path / "alpha.png", np.dstack([board(), np.full((64, 64), 255, np.uint8)])),
        write(tmp_path / "größe 1.jpg", board()),
    ]
    predictions = workflow.predict(tiny_run, images, tmp_path / "found")
    for path, prediction in zip(images, predictions, strict=True):
        shape = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED).shape[:2]
        found = np.fromfile(tmp_path / "found" / f"{path.stem}_map.png", np.uint8)
        found = cv2.imdecode(found, cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16
        assert found.shape == shape
        overlay = cv2.imdecode(np.fromfile(prediction.overlay, np.uint8), cv2.IMREAD_UNCHANGED)
        assert overlay.ndim == 3


def test_gray_and_deep_copies_of_an_image_score_like_it(tiny_run, tmp_path):
    gray = board()[..., 0]
    images = [
        write(tmp_path / "gray.png", gray),
        write(tmp_path / "colour.png", np.dstack([gray] * 3)),
        write(tmp_path / "alpha.png", np.dstack([gray] * 3 + [np.full_like(gray, 255)])),
    ]
    scores = [p.score for p in workflow.predict(tiny_run, images, tmp_path / "found")]
    assert scores == pytest.approx([scores[0]] * 3)


def test_images_of_the_same_name_keep_their_own_pictures(tiny_run, tmp_path):
    images = [write(tmp_path / folder / "a.png", board(seed)) for seed, folder in enumerate("xyz")]
    images.append(write(tmp_path / "x" / "a_1.png", board(7)))
    predictions = workflow.predict(tiny_run, images, tmp_path / "found")
    assert len({p.overlay for p in predictions}) == 4
    for image, prediction in zip(images, predictions, strict=True):
        (alone,) = workflow.predict(tiny_run, [image], tmp_path / "alone")
        assert alone.overlay.read_bytes() == prediction.overlay.read_bytes()


def test_a_run_without_a_threshold_has_no_areas(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"map_threshold": None}))
    (prediction,) = workflow.predict(run, [write(tmp_path / "a.png", board())], tmp_path / "found")
    assert prediction.area is None


def test_one_broken_image_and_nothing_is_written(tiny_run, tmp_path):
    write(tmp_path / "images" / "a.png", board())
    (tmp_path / "images" / "b.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.png: the file is empty"):
        workflow.predict(tiny_run, [tmp_path / "images"], tmp_path / "found")
    assert not (tmp_path / "found").exists()
