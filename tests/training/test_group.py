"""Two processes train as one does: the same prototypes, the same loss, the same figures; both hold the same weights."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import SLURMEnvironment
from safetensors.torch import load_file
from torch import Tensor

from protores import workflow
from protores.errors import RunError, SettingsError
from protores.run import Run
from protores.training.group import ALONE, Group, processes
from protores.training.module import PRNTraining

SCRIPT = Path(__file__).with_name("together.py")
LAUNCHED = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Trained:
    """A run, the network's state in each process before and after training, and what was printed."""

    run: Path
    states: Path
    printed: str
    code: int

    def state(self, when: str, rank: int) -> dict[str, Tensor]:
        return load_file(self.states / f"{when}-{rank}.safetensors")


def together(
    data: Path, folder: Path, settings: Mapping[str, Any], *options: str, launcher: tuple[str, ...] = ()
) -> Trained:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, *launcher, SCRIPT, data, folder / "run", folder, json.dumps(settings), *options]
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCHED}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
    return Trained(folder / "run", folder, done.stdout + done.stderr, done.returncode)


@pytest.fixture(scope="module")
def settings(tiny) -> dict[str, Any]:
    return {**tiny, "training.devices": 2}


@pytest.fixture(scope="module")
def two(tiny_product, settings, tmp_path_factory) -> Trained:
    """Trained by two processes that Lightning started."""
    trained = together(tiny_product, tmp_path_factory.mktemp("two"), settings)
    assert trained.code == 0, trained.printed
    return trained


def assert_same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_prototypes_are_those_of_one_process_on_both(two, tiny_run):
    ours = [two.state("before", rank) for rank in (0, 1)]
    one = load_file(tiny_run / "model.safetensors")
    names = [name for name in one if ".prototypes." in name]
    assert any("maps" in name for name in names)
    for state in ours:
        assert_same({name: state[name].to(one[name].dtype) for name in names}, {name: one[name] for name in names})


def test_both_processes_hold_the_same_weights_and_the_run_has_them(two):
    assert_same(two.state("after", 0), two.state("after", 1))
    written = load_file(two.run / "model.safetensors")
    assert_same({name: tensor.to(written[name].dtype) for name, tensor in two.state("after", 0).items()}, written)


def test_the_gradient_is_that_of_the_whole_batch(two, tiny, tiny_product, tmp_path, monkeypatch):
    one, step = {}, PRNTraining.optimizer_step

    def watched(training, *args, **kwargs):
        step(training, *args, **kwargs)
        for name, parameter in training.network.named_parameters():
            if parameter.requires_grad:
                one[name] = training.optimizer.state[parameter]["exp_avg"].clone()

    monkeypatch.setattr(PRNTraining, "optimizer_step", watched)
    workflow.train(tiny_product, tmp_path / "run", "quick", {**tiny, "training.steps": 1})
    assert_same(two.state("moments", 0), two.state("moments", 1))
    ours = two.state("moments", 0)
    assert ours.keys() == one.keys()
    apart = torch.cat([(ours[name] - one[name]).flatten() for name in one]).norm()
    assert apart < 1e-4 * torch.cat([tensor.flatten() for tensor in one.values()]).norm()


def test_they_went_where_one_process_goes(two, tiny_run):
    """Sums in another order differ in their last bits, and Adam makes whole steps of gradients that are next to
    nothing: so what is compared is how far all weights went, together."""
    before, after = two.state("before", 0), two.state("after", 0)
    one = load_file(tiny_run / "model.safetensors")
    trained = [name for name, tensor in after.items() if tensor.is_floating_point() and ".prototypes." not in name]
    way = torch.cat([(one[name] - before[name]).flatten() for name in trained]).norm()
    apart = torch.cat([(one[name] - after[name]).flatten() for name in trained]).norm()
    assert way > 0.1
    assert apart < 1e-2 * way


def test_the_loss_is_that_of_the_whole_batch(two, tiny_run):
    ours, one = (list(csv.DictReader((run / "history.csv").open()))[-1] for run in (two.run, tiny_run))
    for name in ("loss", "smooth_l1", "focal", "dice"):
        assert float(ours[name]) == pytest.approx(float(one[name]), rel=1e-3)
    assert ours["learning_rate"] == one["learning_rate"]


def test_figures_are_those_of_one_process_on_the_same_weights(two, tmp_path):
    run = shutil.copytree(two.run, tmp_path / "run")
    gathered = json.loads((run / "metrics.json").read_text())
    alone = json.loads(json.dumps(asdict(workflow.evaluate(run))))
    for part in ("seen", "unseen", *(("kinds", kind) for kind in alone["kinds"])):
        ours, theirs = (
            (figures["kinds"][part[1]] if isinstance(part, tuple) else figures[part]) for figures in (gathered, alone)
        )
        assert ours == pytest.approx(theirs, abs=1e-6)
    figures = {name: value for name, value in alone.items() if isinstance(value, float)}
    assert len(figures) == 6
    assert {name: gathered[name] for name in figures} == pytest.approx(figures, abs=1e-6)
    assert gathered["counts"] == alone["counts"]


def test_one_process_writes_the_run_and_speaks(two, tiny_run):
    assert {path.name for path in two.run.iterdir()} == {path.name for path in tiny_run.iterdir()}
    assert Run(two.run).read_settings().training.devices == 2
    assert two.printed == ""


def test_stopped_in_one_process_and_resumed_by_torchrun_the_same_bits_come_out(two, tiny_product, settings, tmp_path):
    stopped = together(tiny_product, tmp_path / "again", settings, "--stop", "3")
    assert stopped.code == 130
    assert stopped.printed == "protores: stopped at step 3; the same command with --resume goes on from there\n"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    again = together(tiny_product, tmp_path / "again", settings, "--resume", launcher=torchrun)
    assert again.code == 0, again.printed
    assert (again.run / "model.safetensors").read_bytes() == (two.run / "model.safetensors").read_bytes()
    assert_same(again.state("after", 0), again.state("after", 1))


def test_an_error_is_told_once(two, tiny_product, settings):
    refused = together(tiny_product, two.states, settings)
    assert refused.code == 2
    assert refused.printed.count("\n") == 1
    assert "exists already; go on with --resume" in refused.printed


def test_evaluate_shares_the_images_and_prints_once(two, tmp_path):
    run = shutil.copytree(two.run, tmp_path / "run")
    before = json.loads((run / "metrics.json").read_text())
    command = [sys.executable, "-m", "protores.cli", "evaluate", str(run), "--devices", "2"]
    environment = {key: value for key, value in os.environ.items() if key not in LAUNCHED}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test images") == 1
    assert json.loads((run / "metrics.json").read_text()) == before


# Alone


def test_alone_everything_is_what_it_is():
    tensor = torch.arange(3.0)
    assert ALONE.sum(tensor) is tensor
    assert ALONE.on_first(lambda: 1) == ALONE.on_each(lambda: 1) == 1
    assert ALONE.gather_on_first("a") == ["a"]
    assert (ALONE.agreed(0.1), ALONE.any(True), ALONE.any(False)) == (0.1, True, False)


def test_one_device_starts_nothing(monkeypatch):
    monkeypatch.setattr(Fabric, "launch", lambda self: pytest.fail("launched"))
    with processes(1, 1) as group:
        assert group == Group()


# Who starts them


@pytest.fixture
def nobody(monkeypatch):
    for name in LAUNCHED:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nobody")
def test_more_devices_than_there_are():
    words = r"this machine has \d+ (cores|GPUs), not 10000; pass --devices \d+ or less"
    with pytest.raises(SettingsError, match=words), processes(10_000, 1):
        pass


@pytest.mark.usefixtures("nobody")
def test_nodes_without_a_launcher():
    with pytest.raises(SettingsError, match="nobody started this on 2 nodes; .* by torchrun or srun"), processes(1, 2):
        pass


@pytest.mark.usefixtures("nobody")
def test_torchrun_started_another_number(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    words = "torchrun started 4 processes, but --devices 1 and --nodes 1 make 1; pass"
    with pytest.raises(SettingsError, match=words), processes(1, 1):
        pass


@pytest.fixture
def slurm(monkeypatch, nobody):
    job = {"NTASKS": 4, "NTASKS_PER_NODE": 2, "NNODES": 2, "PROCID": 3, "LOCALID": 1, "NODEID": 1, "JOB_ID": 7}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_NODELIST", "node[3-4]")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("slurm")
def test_slurm_says_who_is_who(monkeypatch):
    monkeypatch.setattr(Fabric, "launch", lambda self: None)
    with processes(2, 2) as group:
        assert (group.rank, group.size) == (3, 4)
        assert isinstance(group.environment, SLURMEnvironment)
        assert group.environment.main_address == "node3"
        assert not group.environment.auto_requeue


@pytest.mark.usefixtures("slurm")
def test_slurm_started_another_number():
    with pytest.raises(SettingsError, match="`--ntasks-per-node=2` does not match"), processes(1, 4):
        pass


def test_a_lost_process_is_told_once_and_other_errors_stay_as_they_are(monkeypatch):
    monkeypatch.setattr("protores.training.group._start", lambda devices, nodes: Group(0, 2))
    with pytest.raises(RunError, match="a process of this training was lost; .*--resume"), processes(2, 1):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match="something else"), processes(2, 1):
        raise RuntimeError("something else")


# The pieces


def test_shares_of_a_batch_make_the_batch(rng):
    from protores.settings import SynthesisSettings, TrainingSettings
    from protores.synthesis.synthesizer import Synthesizer
    from protores.training.loader import Batches

    good = rng.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, 8:16, 8:16] = 1
    synthesizer = Synthesizer(good, good[:2], masks, None, SynthesisSettings(), 0)
    training = TrainingSettings(batch_size=16)

    def images(process: int, processes: int) -> list[bytes]:
        share = Batches(good, good[:2], masks, synthesizer, training, 0, process=process, processes=processes)[5]
        assert share.normal == 8 // processes
        rows = zip(share.images, share.masks, share.source, strict=True)
        return [b"".join(np.asarray(part).tobytes() for part in row) for row in rows]

    whole = sorted(images(0, 1))
    for processes_ in (2, 4, 8):
        assert sorted(row for process in range(processes_) for row in images(process, processes_)) == whole


@pytest.mark.parametrize(("devices", "batch_size", "nearest"), [(2, 18, 20), (3, 16, 18), (16, 16, 32)])
def test_a_batch_that_cannot_be_shared_equally(tiny_product, tmp_path, devices, batch_size, nearest):
    changes = {"training.devices": devices, "training.batch_size": batch_size}
    with pytest.raises(SettingsError, match=f"shared equally by {devices} .*batch_size={nearest}"):
        workflow.train(tiny_product, tmp_path / "run", "quick", changes)
    assert not (tmp_path / "run").exists()
