"""Training by itself: exact resuming, a clean end whatever happens, and the machine's settings."""

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from protores.errors import ProtoresError, RunError
from protores.model.losses import Terms
from protores.model.network import build_network
from protores.presets import load
from protores.progress import Progress
from protores.synthesis.synthesizer import Synthesizer
from protores.training.callbacks import VALIDATION
from protores.training.checkpoint import load_checkpoint, read_progress, save_checkpoint
from protores.training.features import extract_features
from protores.training.fit import Interrupted, Outcome, fit, number_of_workers, use_bf16
from protores.training.loader import Batches
from protores.training.module import PRNTraining
from protores.training.schedule import Schedule

SIZE = (64, 64)
STEPS = {"training.steps": 12, "training.batch_size": 4, "training.validate_every": 5, "training.precision": "f32"}


class Bench:
    """A small network, noise for good images, and fit() on them in a folder."""

    def __init__(self, folder: Path, **changes):
        self.folder = folder
        self.settings = load("standard", {**STEPS, **{f"training.{k}": v for k, v in changes.items()}})
        self.validations: list[int] = []
        rng = np.random.default_rng(0)
        self.good = rng.integers(0, 256, (8, *SIZE, 3), dtype=np.uint8)
        none, masks = np.zeros((0, *SIZE, 3), np.uint8), np.zeros((0, *SIZE), np.uint8)
        self.batches = Batches(
            self.good,
            none,
            masks,
            Synthesizer(self.good, none, masks, None, self.settings.synthesis, 0),
            self.settings.training,
            0,
        )
        torch.manual_seed(0)
        self.network = build_network(self.settings.model, SIZE, len(self.good), 2, weights="random")
        self.features = extract_features(self.network.backbone, self.good, False, folder)
        self.network.residuals.prototypes.fit(self.features, 0)

    def fit(self, seconds: float | None = None, watch: Callable[[int], None] = lambda step: None) -> Outcome:
        return fit(
            self.network,
            self.batches,
            self.features,
            self.settings.training,
            leave_one_out=True,
            checkpoint=self.folder / "checkpoint.safetensors",
            history=self.folder / "history.csv",
            validate=self._validate,
            progress=Progress(),
            seconds=seconds,
            watch=watch,
        )

    def _validate(self) -> dict[str, float | None]:
        self.validations.append(len(self.validations))
        return dict.fromkeys(VALIDATION, 0.5)

    def state(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader((self.folder / "history.csv").open(newline="")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Bench:
    """Trained without an interruption."""
    bench = Bench(tmp_path_factory.mktemp("whole"))
    bench.fit()
    return bench


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, act): act() as soon as n steps are done."""

    def arrange(n, act):
        original = PRNTraining.optimizer_step

        def optimizer_step(self, *args, **kwargs):
            original(self, *args, **kwargs)
            if self.step == n:
                act()

        monkeypatch.setattr(PRNTraining, "optimizer_step", optimizer_step)

    return arrange


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_history_has_a_row_every_ten_steps_and_one_at_the_end(whole):
    assert [row["step"] for row in whole.rows()] == ["10", "12"]
    assert all(float(row["loss"]) > 0 for row in whole.rows())
    assert float(whole.rows()[-1]["calibration_pro"]) == 0.5


def test_whoever_watches_sees_averaged_weights_and_changes_nothing(whole, tmp_path):
    bench, seen = Bench(tmp_path), []
    bench.fit(watch=lambda step: seen.append((step, bench.state())))
    assert [step for step, _ in seen] == [10, 12]
    averaged = {name for name, _ in bench.network.named_parameters()}
    assert all(torch.equal(seen[-1][1][name], bench.state()[name]) for name in averaged)
    assert same(bench.state(), whole.state())


def test_the_backbone_and_the_prototypes_stay_as_they_were(whole, tmp_path):
    fresh = Bench(tmp_path).state()
    trained = whole.state()
    frozen = [name for name in fresh if name.startswith(("backbone.", "residuals.prototypes."))]
    assert frozen
    assert all(torch.equal(fresh[name], trained[name]) for name in frozen)
    assert not same(fresh, trained)
    assert not whole.network.training


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_steps_and_training_goes_on_bit_for_bit(whole, tmp_path, at_step, monkeypatch, number):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    at_step(7, lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match="stopped at step 7; .*--resume"):
        Bench(tmp_path).fit()
    monkeypatch.undo()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert read_progress(tmp_path / "checkpoint.safetensors").step == 7
    again = Bench(tmp_path)
    assert again.fit().steps == 12
    assert same(again.state(), whole.state())


def test_rows_behind_the_checkpoint_are_written_once(whole, tmp_path, at_step, monkeypatch):
    """The history is ahead of the checkpoint after a kill: those steps are taken again."""

    def die():
        raise MemoryError

    at_step(11, die)
    with pytest.raises(MemoryError):
        Bench(tmp_path).fit()
    monkeypatch.undo()
    assert read_progress(tmp_path / "checkpoint.safetensors").step == 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = Bench(tmp_path)
    again.fit()
    assert [row["step"] for row in again.rows()] == ["10", "12"]
    assert same(again.state(), whole.state())


def test_a_finished_checkpoint_gives_the_averages_at_once(whole):
    again = Bench(whole.folder)
    outcome = again.fit()
    assert (outcome.steps, outcome.images_per_second) == (12, 0.0)
    assert same(again.state(), whole.state())


def test_the_time_ends_training(tmp_path):
    bench = Bench(tmp_path, steps=1_000_000)
    outcome = bench.fit(seconds=1.5)
    assert 0 < outcome.steps < 1_000_000
    assert outcome.seconds >= 1.5


def test_a_loss_that_is_no_number_ends_training_with_a_cure(tmp_path, monkeypatch):
    from protores.training import module

    nan = torch.tensor(float("nan"), requires_grad=True)
    monkeypatch.setattr(module, "segmentation_loss", lambda logits, *rest: Terms(nan + logits.mean(), nan, nan))
    with pytest.raises(RunError, match=r"not a number at step 10; .*lower training\.learning_rate"):
        Bench(tmp_path).fit()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_an_error_with_a_cure(whole, tmp_path, damage):
    good = (whole.folder / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(good[: len(good) // 2] if damage is None else damage)
    with pytest.raises(RunError, match="cannot be read; delete the run and train anew"):
        Bench(tmp_path).fit()


def test_a_checkpoint_of_another_network_does_not_fit(whole):
    bench = Bench(whole.folder)
    other = build_network(
        bench.settings.model.model_copy(update={"output_stride": 1, "decoder_widths": (16, 16, 16)}),
        SIZE,
        8,
        2,
        "random",
    )
    settings = bench.settings.training
    training = PRNTraining(other, settings, Schedule(settings), bench.features, True)
    with pytest.raises(RunError, match="does not fit this run's settings; train anew"):
        load_checkpoint(whole.folder / "checkpoint.safetensors", training)


def test_a_checkpoint_holds_all_that_training_changes(whole, tmp_path):
    """Loaded into a fresh training and saved again, it is the same file but for the time that passes."""
    from safetensors.torch import load_file

    bench = Bench(tmp_path)
    settings = bench.settings.training
    training = PRNTraining(bench.network, settings, Schedule(settings), bench.features, True, start=12)
    load_checkpoint(whole.folder / "checkpoint.safetensors", training)
    save_checkpoint(tmp_path / "again.safetensors", training)
    assert same(load_file(tmp_path / "again.safetensors"), load_file(whole.folder / "checkpoint.safetensors"))


def test_interrupted_is_the_users_doing_and_no_failure():
    assert issubclass(Interrupted, ProtoresError)


def test_precision_and_workers_are_as_set():
    settings = load().training
    assert use_bf16(settings.model_copy(update={"precision": "bf16"}))
    assert not use_bf16(settings.model_copy(update={"precision": "f32"}))
    assert number_of_workers(settings.model_copy(update={"workers": 3})) == 3
    assert 0 <= number_of_workers(settings) <= 8
