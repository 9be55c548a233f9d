"""The whole on the tiny product: what a run holds, that it can be had again bit for bit, and that nothing leaks."""

import csv
import json
import os
import pickletools
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from protores import toy, workflow
from protores.data.image import read_image
from protores.data.record import pixel_hash
from protores.errors import DataError, ProtoresError, RunError, SettingsError, SplitError
from protores.presets import load
from protores.progress import Progress
from protores.run import Run
from protores.training import features
from protores.training.callbacks import Checkpoints
from protores.training.fit import Interrupted
from protores.training.module import PRNTraining

FIGURES = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pro", "pixel_f1_max")
HELD = {
    "settings.json",
    "split.json",
    "model.safetensors",
    "history.csv",
    "metrics.json",
    "environment.json",
    "preview.png",
    "results.png",
}


@pytest.fixture
def train(tiny):
    """train(data, out, resume, training__steps=3): on the tiny settings, with changes."""

    def call(data: Path, out: Path, resume: bool = False, **changes) -> None:
        overrides = tiny | {key.replace("__", "."): value for key, value in changes.items()}
        workflow.train(data, out, "quick", overrides, resume=resume)

    return call


def model(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def entries(run: Path, *roles: str) -> list[dict]:
    return [e for e in json.loads((run / "split.json").read_text())["images"] if e["role"] in roles]


class Notes(Progress):
    def __init__(self):
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, act): act() as soon as n steps are done; the state is saved after every step."""

    def arrange(n, act):
        original, begin = PRNTraining.optimizer_step, Checkpoints.__init__

        def optimizer_step(self, *args, **kwargs):
            original(self, *args, **kwargs)
            if self.step == n:
                act()

        monkeypatch.setattr(PRNTraining, "optimizer_step", optimizer_step)
        monkeypatch.setattr(Checkpoints, "__init__", lambda self, path, **more: begin(self, path, seconds=0.0, **more))

    return arrange


# What a run holds


def test_a_run_holds_what_it_should_and_nothing_unfinished(tiny_run):
    assert {path.name for path in tiny_run.iterdir()} == HELD


def test_no_file_of_a_run_is_a_pickle(tiny_run):
    for path in tiny_run.iterdir():
        data = path.read_bytes()
        assert not data.startswith((b"\x80", b"PK")), path
        with pytest.raises(ValueError):  # noqa: PT011
            list(pickletools.genops(data))


def test_metrics(tiny, tiny_run):
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    parts = [metrics, metrics["seen"], *metrics["kinds"].values()]
    assert len(metrics["kinds"]) == 5
    for part in parts:
        assert all(0 <= part[name] <= 1 for name in FIGURES)
    assert set(metrics["unseen"]) == set(FIGURES)
    assert metrics["counts"]["good"] == 5
    assert metrics["counts"]["defective"] == 15 - tiny["split.seen"]
    assert metrics["split"] == json.loads((tiny_run / "split.json").read_text())["hash"]
    assert metrics["seed"] == 0
    assert metrics["steps"] == tiny["training.steps"]
    assert 0 < metrics["seconds"]["training"] <= metrics["seconds"]["all"]


def test_settings_environment_and_history(tiny, tiny_run, tiny_product):
    kept = Run(tiny_run).read_settings()
    assert kept == load("quick", {**tiny, "data.root": tiny_product, "data.bit_depth": kept.data.bit_depth})
    environment = json.loads((tiny_run / "environment.json").read_text())
    assert {"python", "processor", "cores", "threads", "precision", "versions"} <= set(environment)
    assert {"torch", "timm", "lightning", "numpy"} <= set(environment["versions"])
    rows = list(csv.DictReader((tiny_run / "history.csv").open()))
    assert rows[-1]["step"] == str(tiny["training.steps"])
    assert 0 <= float(rows[-1]["calibration_pixel_ap"]) <= 1
    for name in ("preview.png", "results.png"):
        assert read_image(tiny_run / name).std() > 10


def test_the_model_is_network_prototypes_and_running_averages(tiny_run):
    tensors = load_file(tiny_run / "model.safetensors")
    names = " ".join(tensors)
    assert "prototypes.maps_0" in names
    assert "running_mean" in names
    assert all(np.isfinite(t).all() for t in tensors.values())


# Roles


def test_whoever_watches_the_test_images_changes_no_bit(tiny, tiny_product, tmp_path):
    seen = []
    settings = tiny | {"training.steps": 12, "training.validate_every": 10}
    workflow.train(tiny_product, tmp_path / "plain", "quick", settings)
    figures = workflow.train(
        tiny_product, tmp_path / "watched", "quick", settings, watch=lambda *found: seen.append(found)
    )
    assert [step for step, _ in seen] == [10, 12]
    assert seen[-1][1].figures == figures
    assert model(tmp_path / "watched") == model(tmp_path / "plain")
    watched, plain = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("watched", "plain"))
    assert watched.keys() == plain.keys()
    assert all(watched[name] == plain[name] for name in (*FIGURES, "kinds", "map_threshold", "split", "steps"))


def test_every_image_has_a_role_and_no_test_image_trains(tiny, tiny_run, tiny_product):
    images = entries(tiny_run, "train", "seen", "calibration", "test", "excluded")
    files = [p for p in tiny_product.rglob("*.png") if "ground_truth" not in p.parts]
    assert {e["path"] for e in images} == {p.relative_to(tiny_product).as_posix() for p in files}
    pixels = {e["path"]: pixel_hash(read_image(tiny_product / e["path"])) for e in images}
    trained = {pixels[e["path"]] for e in entries(tiny_run, "train", "seen")}
    watched = {pixels[e["path"]] for e in entries(tiny_run, "calibration")}
    tested = {pixels[e["path"]] for e in entries(tiny_run, "test")}
    assert trained
    assert watched
    assert tested
    assert not tested & (trained | watched)
    assert not trained & watched
    assert len(entries(tiny_run, "seen")) == tiny["split.seen"]


def test_train_says_which_defects_left_the_test(tiny, tiny_product, tmp_path):
    notes = Notes()
    workflow.train(tiny_product, tmp_path / "run", "quick", tiny | {"training.steps": 1}, progress=notes)
    assert any("5" in line and "test" in line for line in notes.lines)


def test_whole_kinds_stay_unseen(train, tiny_product, tmp_path):
    train(
        tiny_product, tmp_path / "run", split__seen_kinds=(toy.KINDS[0], toy.KINDS[1]), split__seen=3, training__steps=1
    )
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {e["kind"] for e in entries(tmp_path / "run", "seen")} == set(toy.KINDS[:2])
    assert all(0 <= metrics["unseen"][name] <= 1 for name in FIGURES)
    assert metrics["counts"]["defective"] == 12


def test_good_images_alone_are_enough(train, tiny_product, tmp_path):
    train(tiny_product, tmp_path / "run", split__seen=0, training__steps=2)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["counts"]["defective"] == 15
    assert metrics["seen"] == dict.fromkeys(FIGURES)
    assert metrics["unseen"]["image_auroc"] == metrics["image_auroc"]


# The same again


def test_the_same_seed_gives_the_same_bits_with_any_number_of_workers(train, tiny_run, tiny_product, tmp_path):
    train(tiny_product, tmp_path / "same", training__workers=2)
    assert model(tmp_path / "same") == model(tiny_run)
    ours, theirs = (json.loads((run / "metrics.json").read_text()) for run in (tmp_path / "same", tiny_run))
    assert all(ours[name] == theirs[name] for name in (*FIGURES, "kinds", "map_threshold", "split"))


def test_decoded_anew_or_from_the_cache_features_in_memory_or_in_files_it_trains_the_same_bits(
    train, tiny_run, tiny_product, tmp_path, monkeypatch
):
    train(tiny_product, tmp_path / "memory", data__cache="none")
    assert model(tmp_path / "memory") == model(tiny_run)
    monkeypatch.setattr(features, "IN_MEMORY", 0)
    train(tiny_product, tmp_path / "files", data__cache=tmp_path / "cache")
    assert model(tmp_path / "files") == model(tiny_run)
    assert len(list((tmp_path / "cache").rglob("*"))) > len(list(tiny_product.rglob("test/*/*.png")))
    train(tiny_product, tmp_path / "again", data__cache=tmp_path / "cache", training__workers=1)
    assert model(tmp_path / "again") == model(tiny_run)


def test_prototypes_of_a_sample_are_said_to_be(tiny, tiny_product, tmp_path):
    told = Notes()
    overrides = tiny | {"model.prototype_images": 12}
    workflow.train(tiny_product, tmp_path / "run", "quick", overrides, progress=told)
    counts = json.loads((tmp_path / "run/split.json").read_text())["counts"]
    assert f"12 of the {counts['train']} good images, drawn by seed, make the prototypes" in told.lines
    assert json.loads((tmp_path / "run/metrics.json").read_text())["prototype_images"] == 12
    clusters = load_file(tmp_path / "run/model.safetensors")["residuals.prototypes.clusters_0"]
    assert (len(clusters), (clusters >= 0).sum()) == (counts["train"], 12)


def test_another_seed_gives_other_ones(train, tiny_run, tiny_product, tmp_path):
    train(tiny_product, tmp_path / "other", seed=1)
    assert model(tmp_path / "other") != model(tiny_run)


def test_stopped_by_the_user_it_goes_on_bit_for_bit(train, tiny_run, tiny_product, tmp_path, at_step, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context():
        at_step(4, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted, match="stopped at step 4.*--resume"):
            train(tiny_product, tmp_path / "run")
        monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "run" / "model.safetensors").exists()
    with pytest.raises(RunError, match="--resume"):
        workflow.evaluate(tmp_path / "run")
    train(tiny_product, tmp_path / "run", resume=True)
    assert model(tmp_path / "run") == model(tiny_run)
    assert {path.name for path in (tmp_path / "run").iterdir()} == HELD
    steps = [row["step"] for row in csv.DictReader((tmp_path / "run" / "history.csv").open())]
    assert steps == [row["step"] for row in csv.DictReader((tiny_run / "history.csv").open())]


KILLED = """
import os, signal, sys
from pathlib import Path
from protores import workflow
from protores.training import fit
from protores.training.callbacks import Checkpoints
from protores.training.module import PRNTraining

original = PRNTraining.optimizer_step
def optimizer_step(self, *args, **kwargs):
    if self.step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    original(self, *args, **kwargs)
PRNTraining.optimizer_step = optimizer_step
fit.Checkpoints = lambda path, **more: Checkpoints(path, seconds=0.0, **more)
workflow.train(Path(sys.argv[1]), Path(sys.argv[2]), "quick", OVERRIDES)
"""


def test_killed_it_goes_on_bit_for_bit(tiny, train, tiny_run, tiny_product, tmp_path):
    code = KILLED.replace("OVERRIDES", repr(tiny))
    done = subprocess.run([sys.executable, "-c", code, tiny_product, tmp_path / "run"], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "run" / "model.safetensors").exists()
    train(tiny_product, tmp_path / "run", resume=True)
    assert model(tmp_path / "run") == model(tiny_run)
    assert {path.name for path in (tmp_path / "run").iterdir()} == HELD


def test_killed_while_judging_it_goes_on(train, tiny_run, tiny_product, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(workflow, "pick_threshold", stop)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_product, tmp_path / "run")
    train(tiny_product, tmp_path / "run", resume=True)
    assert model(tmp_path / "run") == model(tiny_run)
    assert {path.name for path in (tmp_path / "run").iterdir()} == HELD


def test_resuming_a_finished_run_judges_it_again(train, tiny_run, tiny_product, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "unfinished").mkdir()
    train(tiny_product, run, resume=True)
    assert model(run) == model(tiny_run)
    assert {path.name for path in run.iterdir()} == HELD


def test_resuming_needs_the_settings_and_images_of_the_beginning(train, tiny_run, tiny_product, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    with pytest.raises(SettingsError, match="other settings; resume with the command it was begun with"):
        train(tiny_product, run, resume=True, training__steps=7)
    with pytest.raises(RunError, match="exists already; go on with --resume"):
        train(tiny_product, run)


def test_resuming_with_changed_images_is_refused(train, tiny_product, tmp_path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    train(data, tmp_path / "run", training__steps=1)
    (data / "train" / "good" / "000.png").unlink()
    with pytest.raises(RunError, match="not the ones .* train into another folder"):
        train(data, tmp_path / "run", resume=True, training__steps=1)
    with pytest.raises(RunError, match="changed since training; name a folder to judge with --data"):
        workflow.evaluate(tmp_path / "run")


# Time and bad luck


def test_minutes_end_training_in_time_with_a_whole_run(train, tiny_product, tmp_path):
    train(tiny_product, tmp_path / "run", training__steps=100_000, training__minutes=0.05)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 0 < metrics["steps"] < 100_000
    assert {path.name for path in (tmp_path / "run").iterdir()} == HELD


def test_a_loss_that_is_no_number_is_an_error_with_a_cure(train, tiny_product, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunError, match=r"not a number .*lower training\.learning_rate"):
        train(tiny_product, tmp_path / "run", training__learning_rate=1e30, training__clip=1e30)
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_without_a_test_image_nothing_is_begun(train, tiny_product, tmp_path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    shutil.rmtree(data / "test" / "good")
    with pytest.raises(SplitError, match="lower --seen"):
        train(data, tmp_path / "run", split__seen=15)
    assert not (tmp_path / "run").exists()


# Judging


def test_evaluate_gives_the_figures_of_the_training(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = json.loads((run / "metrics.json").read_text())
    figures = workflow.evaluate(run)
    assert figures.to_dict() == {key: before[key] for key in figures.to_dict()}
    assert json.loads((run / "metrics.json").read_text()) == before


@pytest.fixture
def fresh(tmp_path) -> Path:
    """Boards that the tiny run has never met, in plain folders."""
    drawn = toy.draw(tmp_path / "drawn", good=2, test_good=4, defects_per_kind=1, size=64, seed=9)
    shutil.move(drawn / "test" / "good", tmp_path / "fresh" / "good")
    shutil.move(drawn / "test", tmp_path / "fresh" / "bad")
    for mask in (drawn / "ground_truth").rglob("*.png"):
        place = tmp_path / "fresh" / "masks" / mask.parent.name / mask.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(mask, place)
    return tmp_path / "fresh"


def test_evaluate_on_another_folder_takes_all_of_it_and_writes_nothing(tiny_run, fresh):
    before = {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()}
    figures = workflow.evaluate(tiny_run, fresh)
    assert (figures.counts.good, figures.counts.defective) == (4, 5)
    assert all(0 <= getattr(figures, name) <= 1 for name in FIGURES)
    assert {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()} == before


@pytest.mark.parametrize("role", ["train", "seen"])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_evaluate_refuses_an_image_that_trained(tiny_run, tiny_product, fresh, role, ending):
    """Renamed and saved anew in another lossless format, too."""
    source = tiny_product / entries(tiny_run, role)[0]["path"]
    place = fresh / ("good" if role == "train" else "bad/scratch") / f"innocent{ending}"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(cv2.imencode(ending, cv2.imread(str(source)))[1].tobytes())
    assert place.read_bytes() != source.read_bytes()
    with pytest.raises(SplitError, match="trained the model: .*innocent"):
        workflow.evaluate(tiny_run, fresh)


def test_what_is_no_run_is_said_to_be_none(tmp_path, tiny_product):
    for folder in (tmp_path, tmp_path / "nowhere", tiny_product):
        with pytest.raises(RunError, match="is no run .*pass the folder that train wrote"):
            workflow.evaluate(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "settings.json", "split.json", "metrics.json"])
def test_a_damaged_run_is_an_error_with_a_cure(tiny_run, tmp_path, name):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ProtoresError, match="restore|train again|train anew"):
        workflow.evaluate(run)


def test_a_model_of_other_settings_does_not_fit(tiny_run, tmp_path):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    text = (run / "settings.json").read_text()
    (run / "settings.json").write_text(text.replace('"detail": 16', '"detail": 8'))
    with pytest.raises(RunError, match="does not fit settings.json"):
        workflow.evaluate(run)


# The other commands


def test_preview_writes_its_sheet_alone(tiny, tiny_product, tmp_path):
    workflow.preview(tiny_product, tmp_path / "sheets" / "sheet.png", "quick", tiny)
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["sheet.png"]
    assert read_image(tmp_path / "sheets" / "sheet.png").std() > 10


def test_check_reads_the_product(tiny_product):
    findings = workflow.check(tiny_product)
    assert findings.dataset.layout == "MVTec AD"
    assert not findings.has_errors


def test_demo_goes_from_nothing_to_figures(tiny, tmp_path, monkeypatch):
    draw = toy.draw
    monkeypatch.setattr(toy, "draw", lambda root: draw(root, good=16, test_good=3, defects_per_kind=2, size=64))
    monkeypatch.setattr(workflow, "DEMO", {**workflow.DEMO, **tiny})
    notes = Notes()
    figures = workflow.demo(tmp_path / "demo", notes)
    assert figures.counts.defective == 5
    assert any("random" in line for line in notes.lines)
    assert {path.name for path in (tmp_path / "demo" / "run").iterdir()} == HELD
    with pytest.raises(RunError, match="exists already"):
        workflow.demo(tmp_path / "demo")


def test_the_demo_downloads_nothing_and_its_settings_are_known():
    assert workflow.DEMO["model.weights"] == "random"
    assert load("quick", workflow.DEMO).training.minutes < 6


def test_skip_bad_goes_on_without_the_truncated_image(tiny, train, tiny_product, tmp_path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    broken = data / "train" / "good" / "003.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"003\.png.*"):
        train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    notes = Notes()
    workflow.train(data, tmp_path / "run", "quick", tiny | {"training.steps": 1}, skip_bad=True, progress=notes)
    assert any("003.png" in line for line in notes.lines)
    assert "train/good/003.png" not in {e["path"] for e in entries(tmp_path / "run", "train", "calibration")}
    workflow.evaluate(tmp_path / "run")
