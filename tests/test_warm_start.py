"""Going on from a finished run: its network, settings and roles; what it learnt from is never judged on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from protores import toy, warm_start, workflow
from protores.errors import ProtoresError, RunError, SettingsError, SplitError
from protores.model.network import build_network
from protores.reproduction import reproduce
from protores.run import Run
from protores.training.callbacks import Checkpoints
from protores.training.fit import Interrupted
from protores.training.module import PRNTraining
from protores.warm_start import fill, inherited

PROTOTYPES = "residuals.prototypes."


@pytest.fixture
def old(tiny_run, tmp_path) -> Run:
    return Run(shutil.copytree(tiny_run, tmp_path / "old"))


@pytest.fixture
def added(tmp_path) -> Path:
    """Three good images that nobody saw."""
    folder = tmp_path / "feedback"
    toy.draw(folder, good=3, test_good=0, defects_per_kind=0, size=64, seed=7)
    return folder


@pytest.fixture
def go_on(old, added, tiny_product, tmp_path) -> Callable[..., Run]:
    """go_on(out=, data=, resume=, training__steps=3): a run that goes on from the old one with what was added."""

    def train(out: str = "new", data: Path = tiny_product, resume: bool = False, **changes) -> Run:
        overrides = {"training.warm_start": old.path, "data.add": (added,)}
        overrides |= {key.replace("__", "."): value for key, value in changes.items()}
        workflow.train(data, tmp_path / out, None, overrides, resume=resume)
        return Run(tmp_path / out)

    return train


def test_settings_are_those_of_the_run_on_a_short_schedule(old):
    before, after = old.read_settings(), inherited(old, {"training.warm_start": old.path, "model.context": "0.3"})
    training = before.training
    assert (after.training.steps, after.training.minutes) == (round(training.steps * warm_start.STEPS), None)
    assert after.training.learning_rate == training.learning_rate * warm_start.RATE
    assert after.model.context == 0.3
    changed = {"steps", "learning_rate", "warm_start"}
    assert after.training.model_dump(exclude=changed) == training.model_dump(exclude=changed)
    assert after.model_dump(exclude={"training", "model"}) == before.model_dump(exclude={"training", "model"})


def test_what_started_from_a_run_hands_its_own_schedule_and_folders_on(go_on, tmp_path):
    first = go_on(training__steps=2)
    more = toy.draw(tmp_path / "more", good=2, test_good=0, defects_per_kind=0, size=64, seed=8)
    settings = inherited(first, {"training.warm_start": first.path, "data.add": (more, tmp_path / "feedback")})
    assert settings.training.steps == 2
    assert settings.training.learning_rate == first.read_settings().training.learning_rate
    assert settings.data.add == (tmp_path / "feedback", more)
    second = go_on("second", training__warm_start=first.path, data__add=(more,))
    assert second.read_split().counts["train"] == first.read_split().counts["train"] + 2


def test_the_network_is_the_old_one_with_other_prototypes(old):
    settings, before = old.read_settings(), load_file(old.model)
    network = build_network(settings.model, settings.data.size, images=9, prototypes=3)
    fill(network, old)
    state = network.state_dict()
    assert {name for name in state if not torch.equal(state[name], before[name])} == {
        name for name in state if name.startswith(PROTOTYPES)
    }


def test_at_a_rate_of_nothing_the_weights_stay_and_the_prototypes_take_in_what_was_added(old, go_on):
    before, after = (load_file(run.model) for run in (old, go_on(training__learning_rate=1e-12)))
    learnt = [name for name in before if name.endswith((".weight", ".bias"))]
    assert max(float((before[name] - after[name]).abs().max()) for name in learnt) < 1e-6
    assert len(after[f"{PROTOTYPES}clusters_0"]) == len(before[f"{PROTOTYPES}clusters_0"]) + 3


def test_the_model_is_part_old_part_new(old, go_on):
    before = load_file(old.model)
    half, whole = (load_file(go_on(name, training__warm_share=s).model) for name, s in (("half", 0.5), ("whole", 1.0)))
    for name in (name for name, tensor in before.items() if tensor.dtype == torch.float32):
        expected = whole[name] if name.startswith(PROTOTYPES) else (before[name] + whole[name]) / 2
        torch.testing.assert_close(half[name], expected)
    assert any(name.startswith("decoder.") and not torch.equal(half[name], before[name]) for name in before)


def test_the_roles_are_those_of_the_run(old, go_on):
    roles = [{e.path: e.role for e in run.read_split().entries} for run in (old, go_on())]
    assert roles[0].items() <= roles[1].items()
    assert {roles[1][path] for path in roles[1].keys() - roles[0].keys()} == {"train"}


def test_what_trained_the_run_is_never_judged_on(go_on, old, tiny_product, tmp_path):
    """Neither another draw nor a folder without an image that trained is gone on with."""
    for changes in ({"seed": 1}, {"split__seen": 4}, {"split__calibration": 0.5}):
        with pytest.raises(SplitError, match="would not train now: .*into a folder for --add, or train without --from"):
            go_on(**changes)
    data = shutil.copytree(tiny_product, tmp_path / "data")
    trained = next(e for e in old.read_split().entries if e.role == "train")
    (data / trained.path).unlink()
    with pytest.raises(SplitError, match="would not train now: .*; put them back"):
        go_on(data=data)
    assert not (tmp_path / "new").exists()


def test_what_does_not_fit_is_refused_before_anything_is_written(old, go_on, tiny_product, tmp_path):
    for changes, kind, cure in (
        ({"model__weights": "imagenet"}, SettingsError, "leave out --weights"),
        ({"model__widths": (16, 32, 32)}, RunError, "another network; leave its model settings as they are"),
        ({"training__warm_start": tmp_path / "nowhere"}, RunError, "pass the folder that train wrote"),
    ):
        with pytest.raises(kind, match=cure):
            go_on(**changes)
    with pytest.raises(SettingsError, match="leave out --preset"):
        workflow.train(tiny_product, tmp_path / "new", "quick", {"training.warm_start": old.path})
    old.model.unlink()
    with pytest.raises(RunError, match="no trained model; finish it"):
        go_on()
    assert not (tmp_path / "new").exists()


def test_another_size_of_images_is_gone_on_with(go_on):
    assert go_on(data__size=(96, 64), training__steps=1).is_complete


def test_interrupted_it_goes_on_bit_for_bit(go_on, old, monkeypatch, tmp_path):
    whole = go_on("whole", training__steps=4)
    with monkeypatch.context() as patch:
        end = Checkpoints.on_train_batch_end

        def stop_at_2(self, trainer, training: PRNTraining, *rest) -> None:
            self.stopped = training.step == 2
            end(self, trainer, training, *rest)

        patch.setattr(Checkpoints, "on_train_batch_end", stop_at_2)
        with pytest.raises(Interrupted):
            go_on(training__steps=4)
    kept = shutil.copytree(old.path, tmp_path / "kept")
    state = load_file(old.model)
    save_file(state | {"decoder.": torch.zeros(1)}, old.model)
    with pytest.raises(ProtoresError, match="is not the run any more that .* was begun from"):
        go_on(resume=True, training__steps=4)
    shutil.rmtree(old.path)
    with pytest.raises(RunError, match="pass the folder that train wrote"):
        go_on(resume=True, training__steps=4)
    kept.rename(old.path)
    assert go_on(resume=True, training__steps=4).model.read_bytes() == whole.model.read_bytes()


def test_it_is_reproduced_while_the_old_run_is_there(go_on, old):
    new = go_on()
    assert reproduce(new.path).is_exact
    state = load_file(old.model)
    name = next(name for name in state if name.startswith("decoder.") and name.endswith(".weight"))
    save_file(state | {name: state[name] + 1}, old.model)
    found = reproduce(new.path)
    assert not found.is_exact
    assert any(reason.startswith("warm start was ") for reason in found.reasons)
    shutil.rmtree(old.path)
    with pytest.raises(RunError, match="started from .*old, which is no finished run any more; put it back"):
        reproduce(new.path)


def test_the_new_run_stands_on_its_own(go_on, old, tmp_path):
    """What is done with it needs neither the old run nor its weights' file."""
    new = go_on()
    shutil.rmtree(old.path)
    before = json.loads(new.metrics.read_text())
    figures = workflow.evaluate(new.path).to_dict()
    assert figures == {key: before[key] for key in figures}
    workflow.export(new.path, tmp_path / "bundle")
    found = workflow.predict(tmp_path / "bundle", [str(tmp_path / "feedback/train/good")], tmp_path / "found")
    assert len(found) == 3
    assert np.isfinite([one.score for one in found]).all()
