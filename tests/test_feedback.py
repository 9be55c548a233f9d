"""Corrections from the line, from the folder that the station exports to a run that learned from them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from protores import toy, workflow
from protores.bundle.contract import Contract
from protores.data.image import encode_mask
from protores.data.layouts import recognise
from protores.data.sample import GOOD
from protores.data.store import ImageStore
from protores.data.uses import Uses
from protores.decision.calibration import calibrate
from protores.decision.request import Request
from protores.errors import ProtoresError, RunError, SettingsError, SplitError
from protores.judgement import judge
from protores.metrics.evaluation import Figures
from protores.product import Images
from protores.progress import Progress
from protores.report.page import report
from protores.run import Run
from protores.toy.drift import draw_smeared, draw_stamped

SHARED = Path(__file__).parents[2] / "shared"
Picture = np.ndarray


def write(folder: Path, number: int, image: Picture, kind: str = GOOD, mask: Picture | None = None) -> Path:
    """One corrected image as the station exports it."""
    place = folder / "good" if kind == GOOD else folder / "bad" / kind
    name = f"part {number}_{number:032x}"
    for path, pixels in ((place / f"{name}.png", image[..., ::-1]), (folder / "masks" / kind / f"{name}.png", mask)):
        if pixels is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_mask(mask) if pixels is mask else cv2.imencode(".png", pixels)[1].tobytes())
    (folder / "feedback.csv").write_text("id,time,name,label,kind,score,verdict,model,file\n")
    return place / f"{name}.png"


@pytest.fixture(scope="module")
def feedback(tmp_path_factory) -> Path:
    """Two false alarms, an outlined scratch of another size and gray depth, a missed burr without a mask."""
    folder = tmp_path_factory.mktemp("station") / "feedback"
    for n in range(2):
        write(folder, n, toy.draw_good(np.random.default_rng([5, n]), 64))
    image, mask = toy.draw_defect(np.random.default_rng([5, 2]), "scratch", 96)
    write(folder, 2, image.astype(np.uint16) * 257, "scratch", mask)
    write(folder, 3, toy.draw_defect(np.random.default_rng([5, 3]), "solder_bridge", 64)[0], "burr")
    return folder


@pytest.fixture(scope="module")
def second_run(tiny, tiny_product, feedback, tmp_path_factory) -> Path:
    """The tiny run again, with the corrections. Not to be changed."""
    out = tmp_path_factory.mktemp("runs") / "second"
    workflow.train(tiny_product, out, "quick", tiny | {"data.add": (feedback,)})
    return out


@pytest.fixture
def again(tiny, tiny_product, tmp_path) -> Callable[..., None]:
    """again(feedback, resume=): trains, or goes on, for a step."""

    def train(*folders: Path, resume: bool = False, out: Path = tmp_path / "run") -> None:
        workflow.train(tiny_product, out, "quick", tiny | {"training.steps": 1, "data.add": folders}, resume=resume)

    return train


def entries(run: Path) -> dict[str, dict]:
    return {entry["path"]: entry for entry in json.loads((run / "split.json").read_text())["images"]}


def test_the_corrections_train_and_nothing_else_moves(tiny_run, second_run, feedback):
    before, after = entries(tiny_run), entries(second_run)
    assert before.items() <= after.items()
    new = {path: entry for path, entry in after.items() if path not in before}
    assert {Path(path).parent.relative_to(feedback).as_posix(): entry["role"] for path, entry in new.items()} == {
        "good": "train", "bad/scratch": "seen", "bad/burr": "excluded",
    }  # fmt: skip
    assert len(new) == 4
    assert all(len(entry["sha256"]) == 64 for entry in new.values())
    notes = json.loads((second_run / "split.json").read_text())["notes"]
    assert "2 good and 1 defect images (1 scratch) were added to what trains" in notes
    assert any("without a mask are set aside" in note and "burr" in note for note in notes)
    figures = [json.loads((run / "metrics.json").read_text())["counts"] for run in (tiny_run, second_run)]
    assert figures[0] == figures[1]
    assert Run(second_run).read_settings().data.add == (feedback,)


def test_a_run_with_corrections_can_be_judged_again_but_not_on_them(second_run, feedback, tmp_path):
    run = shutil.copytree(second_run, tmp_path / "run")
    before = json.loads((run / "metrics.json").read_text())
    figures = workflow.evaluate(run).to_dict()
    assert figures == {key: before[key] for key in figures}
    with pytest.raises(SplitError, match="trained the model"):
        workflow.evaluate(run, feedback)


def test_thresholds_and_report_leave_the_corrections_out(second_run, feedback, tmp_path):
    run = shutil.copytree(second_run, tmp_path / "run")
    found = calibrate(run, feedback, Request())
    assert (found.good, found.defective) == (0, 1)
    assert "3 images that trained or tested the model were left out" in found.notes
    own = calibrate(run, None, Request())
    assert own.good == len([e for e in entries(run).values() if e["role"] == "calibration"])
    report(run, tmp_path / "report.html")
    assert "were added to what trains" in (tmp_path / "report.html").read_text()


def test_a_bundle_knows_the_corrections(second_run, feedback, tmp_path):
    workflow.export(second_run, tmp_path / "bundle")
    contract = Contract.read(tmp_path / "bundle")
    assert "burr" in contract.kinds
    assert "burr" not in contract.seen_kinds
    samples = recognise(feedback).samples
    uses = Uses.from_json((tmp_path / "bundle" / contract.images).read_text())
    records = ImageStore.build(samples, (64, 64), False, 16).records
    assert [(record.sample.kind, uses.role(record)) for record in records] == [
        ("burr", None), ("scratch", "seen"), ("good", "train"), ("good", "train"),
    ]  # fmt: skip


def test_resuming_needs_the_same_corrections(again, tiny_product, feedback, tmp_path, monkeypatch):
    folder = shutil.copytree(feedback, tmp_path / "feedback")
    monkeypatch.chdir(tmp_path)
    again(Path("feedback"))
    assert Run(tmp_path / "run").read_settings().data.add == (folder,)
    monkeypatch.chdir(tiny_product)
    again(folder, resume=True)
    with pytest.raises(SettingsError, match="other settings"):
        again(resume=True)
    next((folder / "good").iterdir()).unlink()
    with pytest.raises(RunError, match="the images in .* and .*feedback are not the ones .* was begun with"):
        again(folder, resume=True)
    with pytest.raises(RunError, match="the images in .* and .*feedback changed since training"):
        workflow.evaluate(tmp_path / "run")


def test_a_corrected_test_image_leaves_the_test(again, tiny_run, tiny_product, tmp_path):
    """A false alarm of the old test set that is corrected may not be tested on any more."""
    tested = next(path for path, e in entries(tiny_run).items() if e["role"] == "test" and e["kind"] == GOOD)
    image = cv2.imread(str(tiny_product / tested))[..., ::-1]
    added = write(tmp_path / "feedback", 1, image)
    again(tmp_path / "feedback")
    after = entries(tmp_path / "run")
    assert (after[tested]["role"], after[added.as_posix()]["role"]) == ("excluded", "train")
    counts = json.loads((tmp_path / "run/metrics.json").read_text())["counts"]
    assert counts["good"] == json.loads((tiny_run / "metrics.json").read_text())["counts"]["good"] - 1


def test_corrections_are_enough_to_see(tiny, tiny_product, feedback, tmp_path):
    settings = tiny | {"training.steps": 1, "split.seen": 0, "data.add": (feedback,)}
    workflow.train(tiny_product, tmp_path / "run", "quick", settings)
    assert Run(tmp_path / "run").read_split().seen_kinds == {"scratch"}


def test_folders_that_cannot_be_added_are_refused_before_anything_is_written(again, tiny_product, feedback, tmp_path):
    write(tmp_path / "other", 9, toy.draw_good(np.random.default_rng([5, 0]), 64), "burr")
    for folders, cure in (
        ([tmp_path / "nowhere"], "give the folder that holds the images"),
        ([tiny_product], "name each folder that is to be added once"),
        ([feedback, feedback], "name each folder that is to be added once"),
        ([feedback, tmp_path / "other"], "remove the wrong one"),
    ):
        with pytest.raises(ProtoresError, match=cure):
            again(*folders)
        assert not (tmp_path / "run").exists()


# Do they help?

MARGIN = 0.02
"""What figures of the old test set may lose: going on without corrections moves them by as much as 0.015 either way
(benchmarks/feedback.py)."""


def boards(first: int, count: int, size: int) -> Images:
    """`count` stamped, good boards and as many smeared ones: what the line makes after the training."""
    good = [draw_stamped(np.random.default_rng([0, 90, first + k]), size) for k in range(count)]
    drawn = [draw_smeared(np.random.default_rng([0, 91, first + k]), size) for k in range(count)]
    return Images(
        images=np.stack([*good, *(image for image, _ in drawn)]),
        masks=np.stack([*np.zeros((count, size, size), np.uint8), *(mask for _, mask in drawn)]),
        has_mask=np.repeat([False, True], count),
        valid=None,
        kinds=(GOOD,) * count + ("smear",) * count,
        paths=tuple(Path(str(k)) for k in range(2 * count)),
    )


def figures_of(run: Path, images: Images) -> tuple[Figures, np.ndarray]:
    settings = Run(run).read_settings()
    judgement = judge(Run(run).load_network(settings), images, settings, set(), Progress())
    return judgement.figures, judgement.scores


def correct(run: Path, pool: Images, count: int, into: Path) -> Images:
    """Exports what a run was most wrong about, `count` false alarms and misses, and returns it."""
    _, scores = figures_of(run, pool)
    good = np.array(pool.kinds) == GOOD
    wrong = [*np.flatnonzero(good)[np.argsort(-scores[good])[:count]]]
    wrong += [*np.flatnonzero(~good)[np.argsort(scores[~good])[:count]]]
    for k in wrong:
        write(into, int(k), pool.images[k], pool.kinds[k], pool.masks[k] if pool.has_mask[k] else None)
    return Images(
        pool.images[wrong], pool.masks[wrong], pool.has_mask[wrong], None,
        tuple(pool.kinds[k] for k in wrong), tuple(pool.paths[k] for k in wrong),
    )  # fmt: skip


@pytest.mark.long
def test_a_retrain_learns_from_a_few_corrections_and_keeps_what_it_knew(tmp_path):
    """Of 24 new boards of either sort the six that the old model was most wrong about are corrected."""
    data = toy.draw(tmp_path / "board", good=100, test_good=40, defects_per_kind=12, size=128)
    settings = {
        "model.weights": str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"),
        "data.size": (128, 128),
        "training.steps": 200,
        "training.minutes": None,
        "training.threads": 1,
        "training.validate_every": 10_000,
    }
    old = workflow.train(data, tmp_path / "old", "quick", settings)
    corrected = correct(tmp_path / "old", boards(0, 24, 128), 6, tmp_path / "feedback")
    corrections = {"training.warm_start": tmp_path / "old", "data.add": (tmp_path / "feedback",)}
    new = workflow.train(data, tmp_path / "new", None, corrections)
    for images in (corrected, boards(24, 40, 128)):
        before, after = (figures_of(tmp_path / run, images)[0] for run in ("old", "new"))
        assert after.image_auroc > before.image_auroc + 0.1
        assert after.pixel_ap > before.pixel_ap + 0.05
    tested = [[e for e in entries(tmp_path / run).values() if e["role"] == "test"] for run in ("old", "new")]
    assert tested[0] == tested[1]
    for name in ("image_auroc", "pixel_auroc", "pixel_ap"):
        assert getattr(new, name) > getattr(old, name) - MARGIN, name
