"""Every command by its words; every bad input is one line with its cure, exit code 2, and nothing half-written."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from protores import workflow
from protores.training.fit import Interrupted


@pytest.fixture
def board(make_bundle) -> Path:
    """A bundle that can judge the tiny product."""
    return make_bundle(size=(64, 64), bit_depth=8, map_threshold=0.5)


@pytest.fixture
def words(tiny) -> list[str]:
    """The tiny settings as options of train."""
    options = {k: v for k, v in tiny.items() if k != "split.seen"}
    texts = {k: "null" if v is None else str(list(v) if isinstance(v, tuple) else v) for k, v in options.items()}
    return [word for key, text in texts.items() for word in ("--set", f"{key}={text}")] + ["--preset", "quick"]


@pytest.fixture
def train(call, words, tiny_product, tmp_path):
    """train(..., data=, out=): the command with the tiny settings; an option that is given twice counts last."""

    def run(*more: object, data: Path = tiny_product, out: Path = tmp_path / "run"):
        return call("train", data, "--out", out, *words, *more)

    return run


@pytest.fixture
def refused(tmp_path):
    """refused(result, cure): exit code 2, one line with the cure, no traceback, no run."""

    def check(result: tuple[int, str, str], *cures: str, out: Path | None = tmp_path / "run") -> None:
        code, _, err = result
        assert code == 2
        told = [line for line in err.splitlines() if line.startswith("protores: ")]
        assert len(told) == 1
        assert err.splitlines()[-1] == told[0]
        assert "Traceback" not in err
        for cure in cures:
            assert cure in told[0]
        assert out is None or not out.exists()

    return check


@pytest.fixture
def data(tiny_product, tmp_path) -> Path:
    """A copy of the product, to be spoilt."""
    return shutil.copytree(tiny_product, tmp_path / "data")


# Commands that succeed


def test_train_resume_evaluate_and_predict(call, train, words, tiny_product, tmp_path):
    run = tmp_path / "run"
    code, out, err = train("--seen", 4, "--seed", 1)
    assert code == 0
    assert "AUROC" in out
    assert str(run / "metrics.json") in out
    assert "images/s" in err
    assert "loss" in err
    assert train("--seen", 4, "--seed", 1, "--resume")[0] == 0
    code, out, _ = call("evaluate", run)
    assert code == 0
    assert "pixel AP" in out
    good = tiny_product / "test" / "good"
    code, out, _ = call("predict", run, good, good / "000.png", "--out", tmp_path / "found")
    assert code == 0
    assert out.count(".png") == 5
    assert len(list((tmp_path / "found").glob("*_overlay.png"))) == 5


def test_check_names_the_layout_and_the_errors(call, data):
    code, out, _ = call("check", data)
    assert code == 0
    assert "MVTec AD layout" in out
    broken = data / "train" / "good" / "003.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    code, out, _ = call("check", data)
    assert code == 1
    assert f"error: {broken}: cut off" in out


def test_preview(call, tiny_product, tmp_path):
    code, out, _ = call(
        "preview", tiny_product, "--out", tmp_path / "s.png", "--seen", 3, "--set", "data.size=[64, 64]"
    )
    assert code == 0
    assert cv2.imread(str(tmp_path / "s.png")) is not None
    assert str(tmp_path / "s.png") in out


def test_options_are_settings(monkeypatch, call, tmp_path):
    """Each option arrives under its setting's name; weights and textures as they are."""
    asked = {}
    monkeypatch.setattr(workflow, "train", lambda *args: asked.update(args=args) or (_ for _ in ()).throw(KeyError))
    with pytest.raises(KeyError):
        call(
            *("train", "d", "--out", "r", "--preset", "paper", "--weights", "w.safetensors", "--textures", "t"),
            *("--seen", 7, "--seen-kinds", "a,b", "--seed", 3, "--minutes", 2.5, "--resume", "--skip-bad"),
            *("--add", "f", "--add", "g", "--from", "old", "--set", "training.steps=9"),
        )
    folder, out, preset, overrides, resume, skip_bad, _ = asked["args"]
    assert (folder, out, preset, resume, skip_bad) == (Path("d"), Path("r"), "paper", True, True)
    assert overrides == {
        "model.weights": "w.safetensors",
        "synthesis.textures": Path("t"),
        "split.seen": 7,
        "split.seen_kinds": ("a", "b"),
        "data.add": [Path("f"), Path("g")],
        "training.warm_start": Path("old"),
        "seed": 3,
        "training.minutes": 2.5,
        "training.steps": "9",
    }


@pytest.mark.parametrize("stop", [Interrupted("stopped at step 3; --resume goes on from there"), KeyboardInterrupt()])
def test_a_stop_by_the_user_says_how_to_go_on(monkeypatch, train, stop):
    def stopped(*args, **kwargs):
        raise stop

    monkeypatch.setattr(workflow, "train", stopped)
    code, _, err = train()
    assert code == 130
    assert err.startswith("protores: stopped")
    assert "--resume" in err
    assert len(err.splitlines()) == 1


def test_what_is_not_installed_is_said(monkeypatch, train, refused):
    def missing(*args, **kwargs):
        raise ModuleNotFoundError("no timm", name="timm")

    monkeypatch.setattr(workflow, "train", missing)
    refused(train(), "timm is not installed; pip install 'protores[train]'")


# Bad folders and images


@pytest.mark.parametrize("command", ["check", "train", "preview"])
def test_no_such_folder(call, refused, tmp_path, command):
    out = [] if command == "check" else ["--out", tmp_path / "run"]
    refused(call(command, tmp_path / "nowhere", *out), "no such folder; give the folder")


@pytest.mark.parametrize("command", ["check", "train", "preview"])
def test_empty_folder(call, refused, tmp_path, command):
    (tmp_path / "empty").mkdir()
    out = [] if command == "check" else ["--out", tmp_path / "run"]
    refused(call(command, tmp_path / "empty", *out), "no images in this folder; put good images into")


def test_no_good_images(train, refused, data):
    shutil.rmtree(data / "train")
    shutil.rmtree(data / "test" / "good")
    refused(train(data=data), "no good images", "put some into train/good")


def test_a_mask_of_another_size(train, refused, data):
    mask = next((data / "ground_truth").rglob("*.png"))
    mask.write_bytes(cv2.imencode(".png", np.full((10, 12), 255, np.uint8))[1].tobytes())
    refused(train(data=data), str(mask), "12 x 10", "64 x 64", "export the mask at the image's size")


def test_a_mask_without_its_image(train, refused, data):
    image = next((data / "test").glob("[!g]*/*.png"))
    image.unlink()
    refused(train(data=data), f"{image.stem}_mask.png", "a mask without its image", "add the image or remove the mask")


def test_a_truncated_image_is_named_and_left_out_with_skip_bad(train, refused, data, tmp_path):
    broken = data / "train" / "good" / "003.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    refused(train(data=data), str(broken), "cut off")
    code, _, err = train("--skip-bad", data=data)
    assert code == 0
    assert "003.png" in err.replace("\n", "")
    assert (tmp_path / "run" / "metrics.json").exists()


def test_a_textures_folder_without_images(train, refused, tmp_path):
    (tmp_path / "textures").mkdir()
    refused(train("--textures", tmp_path / "textures"), "textures folder", "give a folder of pictures")
    refused(train("--textures", tmp_path / "nowhere"), str(tmp_path / "nowhere"))


# Bad wishes


def test_more_seen_than_there_are(train, refused):
    refused(train("--seen", 1000), "1000", "15")


def test_unknown_seen_kinds(train, refused):
    refused(train("--seen-kinds", "rust"), "no such kind: rust; there are ")


@pytest.mark.parametrize(
    ("options", "cures"),
    [
        (["--preset", "fast"], ["unknown preset 'fast'; choose quick, standard, paper"]),
        (["--set", "training.step=3"], ["unknown setting 'training.step'; did you mean training.steps"]),
        (["--set", "training.steps"], ["--set training.steps has no value; write --set key=value"]),
        (["--set", "training.steps=many"], ["training.steps", "'many'"]),
        (["--set", "seed=1", "--seed", "2"], ["--seed and --set seed contradict each other; pass one of them"]),
        (["--set", "training.minutes=0"], ["training.minutes", "greater than 0"]),
        (["--set", "data.size=[100, 64]"], ["100x64 must be a multiple of 32; the nearest is 96x64"]),
        (["--set", "model.backbone=resnet1"], ["'resnet1' is unknown to timm; did you mean"]),
    ],
)
def test_settings_that_cannot_be(train, refused, options, cures):
    refused(train(*options), *cures)


def test_weights_that_are_missing_or_anothers(call, words, refused, tiny_product, tmp_path):
    words = [word for pair in zip(words[::2], words[1::2], strict=True) if "weights" not in pair[1] for word in pair]
    save_file({"conv1.weight": torch.zeros(3, 3)}, tmp_path / "shape.safetensors")
    save_file({"nothing": torch.zeros(3, 3)}, tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("these are no weights")
    for name, cure in {
        "nowhere": "no weights file",
        "shape": "belongs to another architecture",
        "none": "belongs to another architecture",
        "text": "is not a safetensors file; convert",
    }.items():
        file = tmp_path / f"{name}.safetensors"
        refused(call("train", tiny_product, "--out", tmp_path / "run", *words, "--weights", file), cure, file.name)


# Runs that exist, disks that are full


def test_an_existing_run(train, refused, tiny_run, tmp_path):
    before = {path.name: path.read_bytes() for path in tiny_run.iterdir()}
    refused(train(out=tiny_run), "exists already; go on with --resume", out=None)
    refused(train("--resume", "--seed", 5, out=tiny_run), "other settings", "resume with the command", out=None)
    assert {path.name: path.read_bytes() for path in tiny_run.iterdir()} == before
    file = tmp_path / "a_file"
    file.write_text("mine")
    refused(train(out=file), "exists already", out=None)
    refused(train("--resume", out=file), "is no run", out=None)
    refused(train(out=file / "run"), "pass another --out", out=None)
    assert file.read_text() == "mine"


def test_no_run(call, refused, tmp_path, tiny_product):
    good, found = tiny_product / "test" / "good", tmp_path / "found"
    refused(call("evaluate", tmp_path), "is no run", "pass the folder that train wrote")
    refused(call("predict", tmp_path, good, "--out", found), "is neither a bundle nor a run; pass", out=found)


def test_predict_refuses_before_it_writes(call, refused, tiny_run, tiny_product, tmp_path):
    good, found = tiny_product / "test" / "good", tmp_path / "found"
    (tmp_path / "empty").mkdir()
    for images, options, cure in (
        (tmp_path / "nowhere.png", [], "check the path"),
        (tmp_path / "empty", [], "no images"),
        (good, ["--runtime", "onnxruntime"], "export it for onnxruntime"),
        (good, ["--tile", 1.5], "give an overlap between 0 and 1"),
    ):
        refused(call("predict", tiny_run, images, "--out", found, *options), cure, out=found)


def test_predict_goes_on_past_a_broken_image_and_says_so(call, make_bundle, data, tmp_path):
    broken = data / "test" / "good" / "003.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    words = ("predict", make_bundle(), data / "test" / "good", "--out", tmp_path / "found", "--no-pictures")
    code, out, err = call(*words)
    assert code == 1
    assert err.splitlines()[-1].startswith("protores: 1 of 5 images cannot be read, see ")
    assert f"{broken}: cut off" in out
    assert len((tmp_path / "found" / "predictions.jsonl").read_text().splitlines()) == 5


def test_predict_on_a_bundle_tells_verdicts(call, make_bundle, tiny_product, tmp_path):
    bundle = make_bundle(map_threshold=0.5, good_below=0.0, bad_above=0.0)
    pattern = f"{tiny_product}/test/*/00[01].png"
    words = ("predict", bundle, pattern, "--out", tmp_path / "found", "--threads", 1, "--runtime", "onnxruntime")
    code, out, err = call(*words, "--tile", 0.25)
    assert code == 0
    assert out.count("  bad  ") == 12
    assert "images/s" in err


def test_predict_stopped_says_how_to_go_on(call, monkeypatch, make_bundle, tiny_product, tmp_path):
    def stopped(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("protores.runtime.engine.OpenVINOEngine.__call__", stopped)
    code, _, err = call("predict", make_bundle(), tiny_product / "test", "--out", tmp_path / "found")
    assert (code, err) == (130, "protores: stopped; the same command goes on from there\n")


def test_a_folder_that_cannot_be_written(call, refused, tiny_run, tiny_product, tmp_path):
    file = tmp_path / "a_file"
    file.write_text("mine")
    good = tiny_product / "test" / "good"
    refused(call("predict", tiny_run, good, "--out", file), "check the path", out=None)
    refused(call("predict", tiny_run, good, "--out", file / "found"), "check the path", out=None)
    sized = ["--set", "data.size=[64, 64]"]
    refused(call("preview", tiny_product, "--out", file / "s.png", *sized), "check the path", out=None)
    refused(call("demo", "--out", file / "demo"), out=None)
    refused(call("demo", "--out", file), "exists already", out=None)
    assert file.read_text() == "mine"


def test_calibrate_says_what_to_expect(call, board, tiny_product):
    code, out, _ = call("calibrate", board, "--data", tiny_product, "--max-false-alarm", 0.3)
    assert code == 0
    assert "calibrated on   29 good and 15 defective images: board" in out
    assert "split conformal" in out
    assert "at most 30.0 % false alarms are promised with 95 % confidence" in out
    code, out, _ = call("calibrate", board, "--good-below", 0.5, "--bad-above", 0.6)
    assert (code, out.count("\n")) == (0, 1)


def test_what_cannot_be_calibrated(call, refused, board, tiny_product, tmp_path):
    refused(call("calibrate", board), "name a folder by --data")
    refused(call("calibrate", board, "--data", tiny_product, "--max-miss", 0.1, "--cost-miss", 3), "pass one of them")
    refused(call("calibrate", board, "--data", tiny_product, "--max-miss", 1.5), "between 0 and 1")
    refused(call("calibrate", board, "--good-below", 0.7, "--bad-above", 0.6), "good_below must be at most bad_above")
    refused(call("calibrate", tmp_path, "--data", tiny_product), "pass a folder that export or train wrote")


def test_report_writes_its_page(call, refused, board, tiny_product, tmp_path):
    code, out, _ = call("report", board, "--data", tiny_product, "--out", tmp_path / "new" / "report.html")
    assert code == 0
    assert "report    " in out
    assert (tmp_path / "new" / "report.html").read_text("utf-8").startswith("<!doctype html>")
    refused(call("report", board, "--out", tmp_path / "report.html"), "name a folder by --data")
    assert not (tmp_path / "report.html").exists()


def test_a_full_disk_for_report_and_calibrate(call, refused, monkeypatch, board, tiny_product, tmp_path):
    before = (board / "contract.json").read_bytes()
    monkeypatch.setattr("protores.files.os.replace", full)
    refused(call("report", board, "--data", tiny_product, "--out", tmp_path / "report.html"), "is full", out=None)
    refused(call("calibrate", board, "--good-below", 0.5, "--bad-above", 0.6), "is full", out=None)
    assert (board / "contract.json").read_bytes() == before


@pytest.mark.parametrize("command", ["calibrate", "report"])
def test_a_bundle_needs_no_torch(command, board, tiny_product, tmp_path):
    words = [command, str(board), "--data", str(tiny_product)]
    words += ["--out", str(tmp_path / "report.html")] if command == "report" else []
    code = f"""import sys
sys.argv = ["protores", *{words!r}]
import protores.cli
try:
    protores.cli.main()
except SystemExit as end:
    assert not end.code, end.code
loaded = {{"torch", "lightning", "timm", "sklearn", "scipy", "pandas"}} & set(sys.modules)
assert not loaded, loaded"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", ["checkpoint", "preview", "history"])
def test_a_full_disk_leaves_a_run_that_resume_continues(train, refused, monkeypatch, tiny_product, tmp_path, at):
    with monkeypatch.context() as patch:
        if at == "history":
            patch.setattr("protores.training.callbacks.csv.DictWriter.writerow", full)
        else:
            write = Path.write_bytes
            patch.setattr(Path, "write_bytes", lambda p, c: full() if at in p.name else write(p, c))
        refused(train(), "disk of", "is full; free some space and go on with --resume", out=None)
    left = [path.name for path in tmp_path.rglob("*") if path.suffix == ".part" or path.name.startswith(".")]
    assert not left
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert train("--resume")[0] == 0
    assert (tmp_path / "run" / "results.png").exists()


def test_a_full_disk_for_predict(call, refused, monkeypatch, tiny_run, tiny_product, tmp_path):
    monkeypatch.setattr("protores.files.os.replace", full)
    result = call("predict", tiny_run, tiny_product / "test" / "good", "--out", tmp_path / "found")
    refused(result, "is full; free some space and try again", out=None)


# Labels of other tools, and corrections


def test_import_masks(call, refused, tiny_product, tmp_path):
    shutil.copytree(tiny_product / "train" / "good", tmp_path / "src")
    images = [{"id": n, "file_name": f"{n:03}.png", "height": 64, "width": 64} for n in range(3)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 4, 9, 9]} for n in range(2)]
    labels = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "dent"}]}
    (tmp_path / "src" / "labels.json").write_text(json.dumps(labels))
    words = ("import-masks", "--from", "coco", tmp_path / "src", "--out")
    code, out, _ = call(*words, tmp_path / "data")
    assert code == 0
    assert out.splitlines() == [
        f"imported  {tmp_path / 'data'}: 0 good; 2 dent",
        "set aside 1 images (002.png): nobody said whether they are good",
    ]
    assert call(*words, tmp_path / "all", "--good-if-empty", "--ignore-labels", "dent")[0] == 0
    assert len(list((tmp_path / "all" / "good").iterdir())) == 3
    refused(call(*words, tmp_path / "data"), "pass another --out", out=None)
    refused(call("import-masks", "--from", "voc", tmp_path, "--out", tmp_path / "run"), "choose labelme, coco, cvat")
    (tmp_path / "src" / "001.png").unlink()
    refused(call(*words, tmp_path / "run"), "001.png: is not below", "or pass --skip-bad")


def test_what_cannot_be_added(train, refused, data, tmp_path):
    refused(train("--add", tmp_path / "nowhere"), "give the folder that holds the images")
    refused(train("--add", data, data=data), "name each folder that is to be added once")
    (tmp_path / "empty" / "good").mkdir(parents=True)
    refused(train("--add", data, "--add", tmp_path / "empty"), "or leave the folder out")
    refused(train("--add", data, "--set", "data.add=[]"), "contradict each other; pass one of them")
    broken = next((data / "train" / "good").iterdir())
    broken.write_bytes(broken.read_bytes()[:-200])
    refused(train("--add", data), f"{broken}: cut off")


# export and verify


def test_export_and_verify(call, tiny_run, tmp_path):
    code, out, _ = call("export", tiny_run, "--out", tmp_path / "bundle", "--licence", "BSD-3-Clause")
    assert code == 0
    assert "onnx, f32, map within 0.0001" in out
    assert '"licence": "BSD-3-Clause"' in (tmp_path / "bundle" / "contract.json").read_text()
    for runtime in ("onnxruntime", "openvino"):
        code, out, _ = call("verify", tmp_path / "bundle", "--runtime", runtime)
        assert code == 0
        assert out.splitlines()[-1].startswith(f"pass: {runtime}, f32")


def test_verify_tells_a_failure_by_exit_code_1_and_what_cannot_be_run_by_2(call, refused, tiny_bundle, tmp_path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    text = (bundle / "contract.json").read_text()
    (bundle / "contract.json").write_text(text.replace('"bound": 0.0001', '"bound": 1e-12'))
    code, out, _ = call("verify", bundle, "--runtime", "onnxruntime")
    assert code == 1
    assert out.splitlines()[-1].startswith("FAIL: onnxruntime")
    refused(call("verify", bundle, "--runtime", "tensorrt"), "choose openvino or onnxruntime")
    refused(call("verify", tmp_path), "pass a folder that export wrote")
    (bundle / "contract.json").write_text(text.replace('"map_threshold": 0', '"map_threshold": 7'))
    refused(call("verify", bundle), "decision.map_threshold", "less than or equal to 1", "correct it there")


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--precision", "bf16"], "pass --format openvino"),
        (["--format", "coreml"], "formats are onnx, openvino"),
        (["--precision", "f16"], "precisions f32, bf16, int8"),
    ],
)
def test_export_refuses_what_there_is_not(call, refused, tiny_run, tmp_path, words, cure):
    refused(call("export", tiny_run, "--out", tmp_path / "bundle", *words), cure, out=tmp_path / "bundle")
    refused(call("export", tmp_path, "--out", tmp_path / "bundle"), "pass the folder that train wrote")


def test_export_names_the_extra_that_is_missing(call, refused, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    refused(call("export", tiny_run, "--out", tmp_path / "bundle"), "pip install 'protores[export]'")
