"""One row as it is trained: what it keeps, that looking changes nothing, and that no test image trains."""

import fcntl
import json
from pathlib import Path

import pytest
from row import best_on_test, only_one, train_row

from protores.errors import RunError, SplitError
from protores.files import write_json
from protores.run import Run
from protores.training.callbacks import Checkpoints
from protores.training.module import PRNTraining


@pytest.fixture
def row(tiny, tiny_product, tmp_path):
    """row(name, **changes): a row's folder as accuracy.py makes it, 20 steps on the toy product."""

    def make(name: str, **changes) -> Path:
        settings = tiny | {"training.steps": 20, "training.validate_every": 10}
        content = {
            "data": str(tiny_product),
            "preset": "quick",
            "overrides": settings,
            "masks": None,
            "apart": [],
            "looks": 0,
            "keep": True,
        } | changes
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "row.json", content)
        return tmp_path / name

    return make


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_looking_at_the_test_set_changes_nothing_and_stays_apart(row):
    plain, watched = row("plain"), row("watched", looks=2, apart=[["missing_component", "scratch"]])
    train_row(plain)
    train_row(watched)
    runs = [Run(folder / "run") for folder in (plain, watched)]
    assert runs[0].model.read_bytes() == runs[1].model.read_bytes()
    metrics = [read(run.metrics) for run in runs]
    assert metrics[0].keys() == metrics[1].keys()
    assert not any("best" in name or "look" in name for name in metrics[1])

    found = read(watched / "figures.json")
    assert found["averaged_weights"] == metrics[1]
    assert [look["step"] for look in found["looks"]] == [10, 20]
    last = found["looks"][-1]
    assert all(value == metrics[1][name] for name, value in last.items() if name != "step")
    assert found["best_on_test"] in found["looks"]
    assert found["best_on_test"]["image_auroc"] == max(look["image_auroc"] for look in found["looks"])
    apart = found["apart"]["missing_component,scratch"]
    assert apart.keys() == {"seen", "unseen"}
    assert apart["seen"] != apart["unseen"]

    without = read(plain / "figures.json")
    assert without["best_on_test"] is None
    assert without["looks"] == []
    assert without["trained_parameters"] < without["parameters"]
    assert without["gflop"] > 0


def test_kinds_apart_are_those_of_the_metrics(row, tiny):
    """A training that saw these kinds has the same figures for them as metrics.json has for seen and unseen."""
    kinds = ["missing_component", "scratch"]
    folder = row("pair", looks=1, apart=[kinds], overrides=tiny | {"split.seen_kinds": kinds, "split.seen": 3})
    train_row(folder)
    found = read(folder / "figures.json")
    assert found["apart"]["missing_component,scratch"] == {
        half: found["averaged_weights"][half] for half in ("seen", "unseen")
    }


def test_no_test_image_trains_with_wrong_masks_either_and_the_copy_goes(row):
    folder = row("boxes", masks="boxes", keep=False)
    train_row(folder)
    split = read(folder / "run/split.json")
    by_role = {}
    for entry in split["images"]:
        by_role.setdefault(entry["role"], set()).add(entry["pixels"])
    assert by_role["test"].isdisjoint(by_role["train"] | by_role["seen"] | by_role["calibration"])
    assert len(by_role["seen"]) == 5
    assert not (folder / "data").exists()
    assert not (folder / "run/model.safetensors").exists()
    assert read(folder / "figures.json")["images"]["test"] == len(by_role["test"])


def test_cut_off_it_goes_on_bit_for_bit_with_the_looks_it_had(row, monkeypatch):
    def die():
        raise MemoryError

    whole, cut = row("whole", looks=2), row("cut", looks=2)
    train_row(whole)
    original, begin = PRNTraining.optimizer_step, Checkpoints.__init__

    def optimizer_step(self, *args, **kwargs):
        original(self, *args, **kwargs)
        if self.step == 14:
            die()

    with monkeypatch.context() as patched:
        patched.setattr(PRNTraining, "optimizer_step", optimizer_step)
        patched.setattr(Checkpoints, "__init__", lambda self, path, **more: begin(self, path, seconds=0.0, **more))
        with pytest.raises(MemoryError):
            train_row(cut)
    assert not (cut / "figures.json").exists()
    assert [look["step"] for look in read(cut / "looks.json")["looks"]] == [10]
    train_row(cut)
    assert (cut / "run/model.safetensors").read_bytes() == (whole / "run/model.safetensors").read_bytes()
    assert read(cut / "figures.json")["looks"] == read(whole / "figures.json")["looks"]


def test_cut_off_before_anything_could_be_resumed_it_begins_anew(row):
    folder = row("early")
    (folder / "run/unfinished").mkdir(parents=True)
    train_row(folder)
    assert (folder / "figures.json").exists()


def test_what_cannot_train_says_why(row, tiny):
    with pytest.raises(SplitError, match="500 seen defects were asked for"):
        train_row(row("many", overrides=tiny | {"split.seen": 500}))


def test_a_row_is_trained_by_one_process_at_a_time(tmp_path):
    with (tmp_path / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another process trains"), only_one(tmp_path):
            pass
    with only_one(tmp_path):
        pass


def test_the_best_look_has_the_highest_image_auroc_and_then_pixel_ap():
    looks = [
        {"step": 10, "image_auroc": 0.8, "pixel_ap": 0.9},
        {"step": 20, "image_auroc": 0.9, "pixel_ap": 0.2},
        {"step": 30, "image_auroc": 0.9, "pixel_ap": 0.3},
        {"step": 40, "image_auroc": None, "pixel_ap": None},
    ]
    assert best_on_test(looks)["step"] == 30
    assert best_on_test([]) is None
