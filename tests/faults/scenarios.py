"""The commands that write, each with what has to hold of its folder at any moment, and at the end.

A scenario is prepared in a place of its own, out of a product, a run and a bundle that stay as they are.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from protores.bundle import golden
from protores.bundle.contract import Contract, Decision
from protores.data.layouts import recognise
from protores.files import write_json
from protores.prediction import NAME, Prediction
from protores.run import Run
from protores.station.records import Judgement, Record
from protores.station.store import Entry, Store
from protores.training.checkpoint import read_progress

OLD, NEW = "old", "new"
SETTINGS: dict[str, Any] = {
    "model.weights": "random",
    "data.size": (64, 64),
    "training.steps": 4,
    "training.minutes": None,
    "training.batch_size": 8,
    "training.validate_every": 2,
    "training.threads": 1,
    "training.precision": "f32",
    "split.seen": 3,
}
"""What trains in two seconds on a toy product of 64 x 64."""
APART = ("environment.json", "history.csv", "metrics.json")
"""Files of a run that tell of the clock or the command."""


@dataclass(frozen=True)
class Material:
    """Where the product, its run and its bundle are, and the settings of the training."""

    data: Path
    run: Path
    bundle: Path
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)

    @property
    def ignore(self) -> Path:
        return self._masks[0]

    @property
    def roi(self) -> Path:
        return self._masks[1]

    @property
    def _masks(self) -> list[Path]:
        return sorted((self.data / "ground_truth").rglob("*.png"))

    @property
    def train_words(self) -> list[str]:
        texts = {
            key: "null" if value is None else str(list(value) if isinstance(value, tuple) else value)
            for key, value in self.settings.items()
        }
        return ["--preset", "quick", *(word for pair in texts.items() for word in ("--set", "=".join(pair)))]


@dataclass(frozen=True)
class Scenario:
    """prepare: fills a new folder. words: the command there. state: OLD or NEW, read as our own readers read; raises
    where it is neither. result: what the same command again has to come to, as if there had been no fault.

    again: exit code of the command where the new state is there already.
    """

    name: str
    prepare: Callable[[Path, Material], None]
    words: Callable[[Path, Material], list[object]]
    state: Callable[[Path, Material], str]
    result: Callable[[Path], dict[str, str]]
    again: int = 0


def nothing(place: Path, material: Material) -> None:
    """Prepares nothing."""


def digest(content: bytes | str) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def files(folder: Path) -> dict[str, str]:
    """Path below the folder to hash, for each file."""
    return {
        path.relative_to(folder).as_posix(): digest(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def picture(path: Path) -> np.ndarray:
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None, f"{path} is no picture"
    return found


# train and evaluate


def run_state(place: Path, material: Material) -> str:
    run = Run(place / "run")
    if not run.exists:
        return OLD
    settings = run.read_settings()
    readers = {
        run.split: run.read_split,
        run.environment: lambda: json.loads(run.environment.read_text()),
        run.path / "preview.png": lambda: picture(run.path / "preview.png"),
        run.path / "results.png": lambda: picture(run.path / "results.png"),
        run.checkpoint: lambda: read_progress(run.checkpoint),
        run.model: lambda: run.load_network(settings),
    }
    there = [path for path in readers if path.exists()]
    for path in there:
        readers[path]()
    if not run.is_complete:
        assert not run.metrics.exists(), "figures of a training that is not finished"
        return OLD
    assert {*readers, run.history} - {run.checkpoint} <= {*there, run.history}
    assert run.facts()["training"]["steps"] == settings.training.steps
    return NEW


def run_result(place: Path) -> dict[str, str]:
    run = Run(place / "run")
    found = {name: hash for name, hash in files(run.path).items() if name not in APART}
    metrics = {k: v for k, v in run.read_metrics().items() if k not in ("seconds", "images_per_second")}
    with run.history.open(newline="") as file:
        steps = [row["step"] for row in csv.DictReader(file)]
    return found | {"metrics": digest(json.dumps(metrics)), "steps": " ".join(steps)}


def train(name: str, *more: object) -> Scenario:
    return Scenario(
        name,
        nothing,
        lambda place, m: ["train", m.data, "--out", place / "run", *m.train_words, *more, "--resume"],
        run_state,
        run_result,
    )


def with_run(place: Path, material: Material) -> None:
    shutil.copytree(material.run, place / "run")


# export


def bundle_state(place: Path, material: Material) -> str:
    if not (place / "bundle").exists():
        return OLD
    contract = Contract.read(place / "bundle")
    golden.read(place / "bundle", contract)
    return NEW


# predict


def found_result(place: Path) -> Any:
    """Pictures as they are, figures to 6 digits: which images make a batch changes their last bits."""
    lines = sorted((place / "found" / NAME).read_text().splitlines())
    rounded = [json.loads(line, parse_float=lambda text: f"{float(text):.6g}") for line in lines]
    return files(place / "found") | {NAME: digest(json.dumps(rounded))}


def found_state(place: Path, material: Material) -> str:
    """Whole lines with whole pictures behind the last kill; the last line may be the beginning of one."""
    path = place / "found" / NAME
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = [Prediction.from_dict(json.loads(line)) for line in lines if line.endswith(b"\n")]
    assert all(line.endswith(b"\n") for line in lines[:-1])
    scored = [found for found in whole if found.error is None]
    for found in scored:
        assert found.map is not None
        assert found.overlay is not None
        assert picture(place / "found" / found.map).dtype == np.uint16
        picture(place / "found" / found.overlay)
    return NEW if len(scored) == sum(1 for _ in (material.data / "test" / "good").iterdir()) else OLD


# calibrate


def with_decisions(place: Path, material: Material) -> None:
    """A run and a bundle with thresholds and an ignore mask already."""
    decision = Decision(good_below=0.2, bad_above=0.3, ignore="ignore-old.png")
    for source in ("run", "bundle"):
        shutil.copytree(getattr(material, source), place / source)
        shutil.copyfile(material.ignore, place / source / "ignore-old.png")
    write_json(Run(place / "run").decision, decision.model_dump(mode="json"))
    contract = Contract.read(place / "bundle").model_copy(update={"decision": decision})
    contract.with_files(place / "bundle", *contract.named()).write(place / "bundle")


def decided(decision: Any) -> str:
    assert decision.ignore is not None
    if (decision.good_below, decision.bad_above) == (0.2, 0.3):
        assert decision.roi is None
        return OLD
    assert decision.roi is not None
    return NEW


def decision_state(place: Path, material: Material) -> str:
    run = Run(place / "run")
    decision, *masks = run.read_decision(run.read_settings(), "board")
    assert (masks[0] is None) == (decision.ignore is None)
    assert (masks[1] is None) == (decision.roi is None)
    return decided(decision)


def contract_state(place: Path, material: Material) -> str:
    return decided(Contract.read(place / "bundle").decision)


# report, preview: one file


def with_page(place: Path, material: Material) -> None:
    with_run(place, material)
    (place / "report.html").write_text("old")


def page_state(place: Path, material: Material) -> str:
    text = (place / "report.html").read_text()
    if text == "old":
        return OLD
    assert text.rstrip().endswith("</html>")
    return NEW


def sheet_state(place: Path, material: Material) -> str:
    if not (place / "sheet.png").exists():
        return OLD
    picture(place / "sheet.png")
    return NEW


# import-masks and feedback: data folders


def with_labels(place: Path, material: Material) -> None:
    labels = place / "labels"
    labels.mkdir()
    for number, path in enumerate(sorted((material.data / "train").rglob("*.png"))[:4]):
        shutil.copyfile(path, labels / f"{number}.png")
        square = {"label": "dent", "points": [[4, 4], [20, 20]], "shape_type": "rectangle", "flags": {}}
        content = {"shapes": [square] * (number > 1), "imagePath": f"{number}.png", "imageData": None, "flags": {}}
        (labels / f"{number}.json").write_text(json.dumps(content | {"imageHeight": 64, "imageWidth": 64}))


def with_feedback(place: Path, material: Material) -> None:
    mask = material.ignore.read_bytes()
    with Store(place / "station", serving=True) as store:
        for number, path in enumerate(sorted((material.data / "test").rglob("*.png"))[:3]):
            id, time = f"{number:016x}", f"2026-01-0{number + 1}T00:00:00.000Z"
            content = path.read_bytes()
            store.put_image(id, time, content)
            record = Record(
                id=id, time=time, name=path.name, sha256=digest(content), model="m", score=0.5, verdict=None,
                good_below=None, bad_above=None, size=(64, 64), regions=(), seconds=0.1,
            )  # fmt: skip
            store.add([Entry(record, mask)])
            label = "bad" if number else "good"
            store.judge(Judgement(id=id, label=label, kind="dent" if number else None), mask if number else None)


def folder_state(images: int) -> Callable[[Path, Material], str]:
    def state(place: Path, material: Material) -> str:
        if not (place / "out").exists():
            return OLD
        samples = recognise(place / "out").samples
        assert len(samples) == images
        for sample in samples:
            picture(sample.path)
            if sample.mask is not None:
                picture(sample.mask)
        return NEW

    return state


SCENARIOS = (
    train("train"),
    train("train with a worker", "--set", "training.workers=1"),
    Scenario(
        "evaluate", with_run, lambda place, m: ["evaluate", place / "run"], run_state, run_result
    ),
    Scenario(
        "export",
        with_run,
        lambda place, m: ["export", place / "run", "--out", place / "bundle"],
        bundle_state,
        lambda place: files(place / "bundle"),
        again=2,
    ),
    Scenario(
        "export --format openvino",
        with_run,
        lambda place, m: ["export", place / "run", "--out", place / "bundle", "--format", "openvino"],
        bundle_state,
        lambda place: files(place / "bundle"),
        again=2,
    ),
    Scenario(
        "predict",
        nothing,
        lambda place, m: ["predict", m.bundle, m.data / "test" / "good", "--out", place / "found", "--threads", 1],
        found_state,
        found_result,
    ),
    Scenario(
        "calibrate RUN",
        with_decisions,
        lambda place, m: ["calibrate", place / "run", "--max-false-alarm", 0.1, "--roi", m.roi],
        decision_state,
        lambda place: files(place / "run"),
    ),
    Scenario(
        "calibrate BUNDLE",
        with_decisions,
        lambda place, m: ["calibrate", place / "bundle", "--good-below", 0.1, "--bad-above", 0.5, "--roi", m.roi],
        contract_state,
        lambda place: files(place / "bundle"),
    ),
    Scenario(
        "report",
        with_page,
        lambda place, m: ["report", place / "run", "--out", place / "report.html"],
        page_state,
        lambda place: {"report.html": digest((place / "report.html").read_bytes())},
    ),
    Scenario(
        "preview",
        nothing,
        lambda place, m: ["preview", m.data, "--out", place / "sheet.png", *m.train_words[2:]],
        sheet_state,
        lambda place: files(place),
    ),
    Scenario(
        "import-masks",
        with_labels,
        lambda place, m: [
            "import-masks", "--from", "labelme", place / "labels", "--out", place / "out", "--good-if-empty",
        ],
        folder_state(4),
        lambda place: files(place / "out"),
        again=2,
    ),
    Scenario(
        "feedback",
        with_feedback,
        lambda place, m: ["feedback", place / "station", "--out", place / "out"],
        folder_state(3),
        lambda place: files(place / "out"),
        again=2,
    ),
)  # fmt: skip
