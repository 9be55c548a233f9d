"""Scores, maps and overlays for files that nobody has labelled: the same as judging, in any order of accidents."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores import prediction, toy, workflow
from protores.errors import BundleError, DataError, RunError
from protores.inspection import open_inspector
from protores.judgement import judge
from protores.prediction import Prediction, predict
from protores.product import open_product
from protores.progress import Progress
from protores.run import Run
from protores.runtime.inspector import Inspector
from protores.runtime.stream import AHEAD
from protores.runtime.view import Tiling

SIZE = (64, 64)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def board(seed: int = 50, size: int = 64) -> np.ndarray:
    return toy.draw_good(np.random.default_rng(seed), size)


def picture(path: Path) -> np.ndarray:
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)


def lines(into: Path) -> list[dict]:
    return [json.loads(line) for line in (into / "predictions.jsonl").read_text().splitlines()]


def scores(predictions: list[Prediction]) -> dict[str, float | None]:
    return {str(p.path): p.score for p in predictions}


def judged(run: Path) -> dict[str, float]:
    """Scores of the run's own test images, by path."""
    kept = Run(run)
    settings = kept.read_settings()
    product, _ = open_product(settings, False, Progress())
    found = judge(kept.load_network(settings), product.role("test"), settings, set())
    return {str(path): float(score) for path, score in zip(found.images.paths, found.scores, strict=True)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Ten images, 0.png to 9.png."""
    for i in range(10):
        write(tmp_path / "images" / f"{i}.png", board(i))
    return tmp_path / "images"


@pytest.fixture
def counted(monkeypatch) -> list[Path]:
    """The files that were read and inspected."""
    read, files = prediction._Work._read, []

    def reading(self, item):
        files.append(item[0])
        return read(self, item)

    monkeypatch.setattr(prediction._Work, "_read", reading)
    return files


# What a run and a bundle say


@pytest.mark.parametrize("source", ["run", "onnxruntime", "openvino"])
def test_scores_are_those_of_judging(tiny_run, tiny_bundle, tmp_path, source):
    expected = judged(tiny_run)
    runtime = None if source == "run" else source
    found = predict(tiny_bundle if runtime else tiny_run, list(expected), tmp_path / "found", runtime=runtime)
    assert scores(found) == pytest.approx(expected, abs=1e-6 if source == "run" else 1e-4)


@pytest.mark.parametrize("setting", ["ignore", "roi", "keep_aspect"])
def test_what_does_not_count_in_judging_does_not_count_here(tiny_product, tiny, tmp_path, setting):
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :40] = 255
    value = "true" if setting == "keep_aspect" else str(write(tmp_path / "mask.png", mask))
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
    found = predict(tmp_path / "run", list(expected), tmp_path / "found")
    assert scores(found) == pytest.approx(expected, abs=1e-6)
    shown = picture(tmp_path / "found" / found[0].map)
    if setting != "keep_aspect":
        assert shown[:, :40].any() == (setting == "roi")
        assert shown[:, 41:].any() == (setting == "ignore")


def test_a_run_runs_in_torch_only(tiny_run, tiny_product, tmp_path):
    with pytest.raises(RunError, match="only torch can run; export it for openvino, or leave --runtime out"):
        predict(tiny_run, [tiny_product / "test" / "good"], tmp_path / "found", runtime="openvino")
    assert open_inspector(tiny_run).engine.name == "torch"


def test_neither_a_run_nor_a_bundle(tmp_path, folder):
    with pytest.raises(BundleError, match="is neither a bundle nor a run; pass a folder that export or train wrote"):
        predict(folder, [folder], tmp_path / "found")
    assert not (tmp_path / "found").exists()


PLAIN = """
import sys
sys.modules |= dict.fromkeys(["torch", "torchvision", "lightning", "timm", "sklearn", "scipy", "safetensors", "onnx"])
from protores.cli import main
main()
"""


def test_the_command_needs_no_torch_with_a_bundle(make_bundle, folder, tmp_path):
    """As where only the runtime is installed: what training needs cannot be imported."""
    words = ["predict", make_bundle(SIZE), folder, "--out", tmp_path / "found"]
    done = subprocess.run([sys.executable, "-c", PLAIN, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path / "found")) == 10


# What is written


def test_a_line_a_map_and_an_overlay_each(make_bundle, folder, tmp_path):
    bundle = make_bundle(SIZE, map_threshold=0.9, good_below=0.2, bad_above=0.9)
    found = predict(bundle, [folder], tmp_path / "found")
    results = Inspector(bundle)([path for path in sorted(folder.iterdir())])
    names = {f"{n}_{what}.png" for n in range(10) for what in ("map", "overlay")}
    assert {path.name for path in (tmp_path / "found").iterdir()} == names | {"predictions.jsonl"}
    assert [Prediction.from_dict(line) for line in lines(tmp_path / "found")] == found
    assert any(p.regions for p in found)
    for prediction_, result in zip(found, results, strict=True):
        assert prediction_.score == pytest.approx(result.score, abs=1e-6)
        assert prediction_.verdict == result.verdict.outcome
        assert [r.box for r in prediction_.regions] == [r.box for r in result.regions]
        shown = picture(tmp_path / "found" / prediction_.map)
        assert shown.dtype == np.uint16
        np.testing.assert_allclose(shown / 65535, result.network_map, atol=1e-5)
    first = lines(tmp_path / "found")[0]
    assert list(first) == ["path", "model", "sha256", "score", "verdict", "size", "regions", "map", "overlay"]


def test_without_pictures_there_is_only_the_file_of_lines(make_bundle, folder, tmp_path):
    found = predict(make_bundle(SIZE), [folder], tmp_path / "found", pictures=False)
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["predictions.jsonl"]
    assert found[0].map is found[0].overlay is None
    with_pictures = predict(make_bundle(SIZE, name="again"), [folder], tmp_path / "found")
    assert all((tmp_path / "found" / p.overlay).is_file() for p in with_pictures)


def test_the_overlay_has_the_images_size_and_a_line_around_what_counts(make_bundle, tmp_path):
    image = np.zeros((120, 90, 3), np.uint8)
    image[40:80, 30:60] = 255
    path = write(tmp_path / "a.png", image)
    (found,) = predict(make_bundle(SIZE, map_threshold=0.7), [path], tmp_path / "found")
    assert found.regions
    shown = picture(tmp_path / "found" / found.overlay)
    assert shown.shape == (120, 90, 3)
    outlined = (shown == (230, 60, 255)).all(2)
    assert outlined.any()
    for region in found.regions:
        x, y, width, height = region.box
        outlined[max(0, y - 1) : y + height + 1, max(0, x - 1) : x + width + 1] = False
    assert not outlined.any()


def test_every_kind_of_file(make_bundle, tmp_path):
    images = [
        write(tmp_path / "odd.png", board(size=97)[:, :61]),
        write(tmp_path / "gray.png", board()[..., 0]),
        write(tmp_path / "deep.tif", board()[..., 0].astype(np.uint16) * 257),
        write(tmp_path / "large.bmp", board(size=200)),
        write(tmp_path / "tiny.png", board()[:5, :3]),
        write(tmp_path / "alpha.png", np.dstack([board(), np.full((64, 64), 255, np.uint8)])),
        write(tmp_path / "größe 検査.jpg", board()),
    ]
    bundle = make_bundle(SIZE, bit_depth=16)
    for path, found in zip(images, predict(bundle, images, tmp_path / "found"), strict=True):
        assert found.size == picture(path).shape[:2]
        assert picture(tmp_path / "found" / found.overlay).shape[:2] == found.size
        assert found.score == pytest.approx(Inspector(bundle)(path).score, abs=1e-6)


def test_a_file_name_that_is_no_text(make_bundle, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        write(path, board())
    except OSError:
        pytest.skip("this file system takes text only")
    bundle = make_bundle(SIZE)
    assert predict(bundle, [path], tmp_path / "found")[0].error is None
    assert predict(bundle, [path], tmp_path / "found")[0].path == path


def test_tiles(make_bundle, tmp_path, convolved):
    path = write(tmp_path / "large.png", board(size=200))
    (found,) = predict(make_bundle(SIZE), [path], tmp_path / "found", tiling=Tiling(0.5))
    expected = convolved(cv2.imread(str(path))[..., ::-1])
    np.testing.assert_allclose(picture(tmp_path / "found" / found.map) / 65535, expected, atol=1e-4)


# Which images


def test_files_folders_and_patterns_each_image_once(make_bundle, tmp_path):
    for name in ("a/1.png", "a/deep/2.png", "a/.hidden.png", "b/1.png", "b/2.jpg", "b/notes.txt", "c/1.png"):
        write(tmp_path / name, board()) if name[-3:] != "txt" else (tmp_path / name).write_text("no image")
    sources = [tmp_path / "a", tmp_path / "b" / "*", tmp_path / "c" / "1.png", tmp_path / "a" / "1.png"]
    found = predict(make_bundle(SIZE), [str(s) for s in sources], tmp_path / "found")
    expected = ["a/1.png", "a/deep/2.png", "b/1.png", "b/2.jpg", "c/1.png"]
    assert [p.path.relative_to(tmp_path).as_posix() for p in found] == expected
    assert [p.overlay for p in found] == [
        "1_overlay.png", "deep/2_overlay.png", "1_1_overlay.png", "2_overlay.png", "1_2_overlay.png",
    ]  # fmt: skip
    assert all((tmp_path / "found" / p.overlay).is_file() for p in found)


@pytest.mark.parametrize("wrong", ["nowhere.png", "nowhere/*.png", "empty"])
def test_nothing_to_inspect_is_told_before_anything_is_written(make_bundle, tmp_path, folder, wrong):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="check the path|no images; name image files"):
        predict(make_bundle(SIZE), [folder, tmp_path / wrong], tmp_path / "found")
    assert not (tmp_path / "found").exists()


# Accidents


@pytest.mark.parametrize("broken", [0, 4, 9])
def test_one_broken_file_among_ten_is_a_line_and_the_rest_goes_on(make_bundle, folder, tmp_path, broken):
    path = folder / f"{broken}.png"
    path.write_bytes(path.read_bytes()[:-200])
    found = predict(make_bundle(SIZE), [folder], tmp_path / "found")
    assert [p.path.name for p in found if p.error] == [path.name]
    line = lines(tmp_path / "found")[broken]
    assert list(line) == ["path", "model", "sha256", "error"]
    assert "cut off" in line["error"]
    assert sum(p.score is not None for p in found) == 9


def test_nothing_but_broken_files(make_bundle, folder, tmp_path):
    for path in folder.iterdir():
        path.write_bytes(b"")
    found = predict(make_bundle(SIZE), [folder], tmp_path / "found")
    assert all("the file is empty" in p.error for p in found)


def test_a_broken_file_is_tried_again(make_bundle, folder, tmp_path, counted):
    whole = (folder / "3.png").read_bytes()
    (folder / "3.png").write_bytes(whole[:-200])
    bundle = make_bundle(SIZE)
    predict(bundle, [folder], tmp_path / "found")
    (folder / "3.png").write_bytes(whole)
    counted.clear()
    found = predict(bundle, [folder], tmp_path / "found")
    assert counted == [folder / "3.png"]
    assert [p.error for p in found] == [None] * 10
    assert sorted(line["path"] for line in lines(tmp_path / "found")) == sorted(map(str, folder.iterdir()))


@pytest.mark.parametrize("kept", [0, 3, 9])
@pytest.mark.parametrize("torn", [b"", b'{"path": "images/5.p', b'{"path": "x"}\n', b"\xff\xfe\n"])
def test_goes_on_where_it_was_cut_off(make_bundle, folder, tmp_path, counted, kept, torn):
    bundle, into = make_bundle(SIZE, map_threshold=0.6), tmp_path / "found"
    whole = predict(bundle, [folder], into)
    text = (into / "predictions.jsonl").read_bytes()
    (into / "predictions.jsonl").write_bytes(b"".join(text.splitlines(keepends=True)[:kept]) + torn)
    counted.clear()
    assert predict(bundle, [folder], into) == whole
    assert counted == [folder / f"{i}.png" for i in range(kept, 10)]
    assert (into / "predictions.jsonl").read_bytes() == text
    counted.clear()
    assert predict(bundle, [folder], into) == whole
    assert counted == []


def test_what_has_changed_is_done_anew(make_bundle, folder, tmp_path, counted):
    bundle, into = make_bundle(SIZE), tmp_path / "found"
    before = scores(predict(bundle, [folder], into))
    write(folder / "2.png", 255 - board(2))
    (into / "7_overlay.png").unlink()
    counted.clear()
    after = scores(predict(bundle, [folder], into))
    assert counted == [folder / "2.png", folder / "7.png"]
    assert [path for path in before if before[path] != after[path]] == [str(folder / "2.png")]
    values = json.loads((bundle / "contract.json").read_text())
    values["decision"]["map_threshold"] = 0.7
    (bundle / "contract.json").write_text(json.dumps(values))
    counted.clear()
    predict(bundle, [folder], into)
    assert len(counted) == 10
    assert len(lines(into)) == 10


def test_images_of_another_call_stay(make_bundle, folder, tmp_path):
    bundle, into = make_bundle(SIZE), tmp_path / "found"
    (first,) = predict(bundle, [folder / "1.png"], into)
    other = write(tmp_path / "other" / "1.png", board(77))
    (second,) = predict(bundle, [other], into)
    assert (first.overlay, second.overlay) == ("1_overlay.png", "1_1_overlay.png")
    assert [Prediction.from_dict(line) for line in lines(into)] == [first, second]


def test_lines_come_as_the_work_goes_on(make_bundle, tmp_path, monkeypatch):
    """An image's line is there long before the last image is begun, and never before its pictures."""
    folder, into = tmp_path / "images", tmp_path / "found"
    for i in range(5 * AHEAD):
        write(folder / f"{i:03}.png", board()[:8, :8])
    append = prediction.Journal.append
    seen: list[int] = []

    def appending(self, line):
        assert (into / line["map"]).is_file()
        assert (into / line["overlay"]).is_file()
        append(self, line)
        seen.append(len(list(into.glob("*_map.png"))))

    monkeypatch.setattr(prediction.Journal, "append", appending)
    predict(make_bundle(SIZE), [folder], into)
    assert len(seen) == 5 * AHEAD
    assert seen[0] <= 3 * AHEAD


SLOW = """
import sys, time
from pathlib import Path
from protores.prediction import predict
from protores.runtime.engine import ONNXRuntimeEngine
run = ONNXRuntimeEngine.__call__
ONNXRuntimeEngine.__call__ = lambda self, images: (time.sleep(0.05), run(self, images))[1]
bundle, folder, into = map(Path, sys.argv[1:])
predict(bundle, [folder], into, runtime="onnxruntime")
"""


def test_killed_and_begun_again(make_bundle, tmp_path):
    folder, into, bundle = tmp_path / "images", tmp_path / "found", make_bundle(SIZE)
    for i in range(60):
        write(folder / f"{i:02}.png", board(i))
    child = subprocess.Popen([sys.executable, "-c", SLOW, bundle, folder, into])
    while not (into / "predictions.jsonl").exists() or not (into / "predictions.jsonl").read_bytes():
        time.sleep(0.01)
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len((into / "predictions.jsonl").read_bytes().splitlines())
    assert 0 < done < 60
    found = predict(bundle, [folder], into, runtime="onnxruntime")
    alone = predict(bundle, [folder], tmp_path / "alone", runtime="onnxruntime")
    assert [p.path for p in found] == sorted(folder.iterdir())
    assert scores(found) == pytest.approx(scores(alone), abs=1e-6)
    assert not list(into.rglob("*.part"))
