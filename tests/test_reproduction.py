"""A run can be had again bit for bit; where not, it is told by how much and why that may be."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from protores import cli, reproduction, workflow
from protores.errors import RunError
from protores.presets import load
from protores.reproduction import reproduce
from protores.run import Run


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.fixture
def trained_before(monkeypatch, tiny_run: Path) -> None:
    """Training again takes no time: it gives what the tiny run gave."""
    monkeypatch.setattr(workflow, "train", lambda data, out, *args, **more: shutil.copytree(tiny_run, out))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bits_come_out_and_nothing_is_left(tiny_run: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = contents(tiny_run)
    found = reproduce(tiny_run)
    assert found.is_exact
    assert found.tensors == len(load_file(tiny_run / "model.safetensors"))
    assert list(found.lines()) == [f"{tiny_run}: the same bits in all {found.tensors} tensors of the model"]
    assert contents(tiny_run) == before
    assert list(tmp_path.iterdir()) == []


def test_every_setting_is_handed_on(tiny_run: Path):
    settings = Run(tiny_run).read_settings()
    assert load(settings.preset, reproduction._overrides(settings)) == settings


@pytest.mark.usefixtures("trained_before")
def test_a_single_bit_is_found(run: Path):
    state = load_file(run / "model.safetensors")
    name = next(n for n, t in state.items() if t.dtype == torch.float32 and t.numel() > 1)
    state[name] = state[name].clone()
    state[name].view(-1).view(torch.int32)[0] ^= 1
    save_file(state, run / "model.safetensors")
    found = reproduce(run)
    assert [difference.tensor for difference in found.differences] == [name]
    assert 0 < found.differences[0].largest < 1e-6
    lines = list(found.lines())
    assert f"1 of {found.tensors} tensors differ, by " in lines[0]
    assert "nothing that is recorded explains it" in lines[-1]


@pytest.mark.usefixtures("trained_before")
def test_what_may_explain_it_is_told(run: Path):
    state = load_file(run / "model.safetensors")
    del state[next(iter(state))]
    save_file(state, run / "model.safetensors")
    environment = json.loads((run / "environment.json").read_text())
    environment |= {"processor": "another one", "versions": environment["versions"] | {"torch": "1.0"}}
    (run / "environment.json").write_text(json.dumps(environment))
    metrics = json.loads((run / "metrics.json").read_text())
    (run / "metrics.json").write_text(json.dumps(metrics | {"pixel_ap": 0.123}))
    lines = list(reproduce(run).lines())
    assert "differ, by their shape" in lines[0]
    assert any(line.startswith("pixel_ap: 0.123000 in the run, ") for line in lines)
    assert any("processor was another one and is " in line for line in lines)
    assert any("torch was 1.0 and is " in line for line in lines)


def test_a_clock_that_had_its_say_is_told():
    def reasons(steps: int, found: dict | None = None, **changes) -> list[str]:
        settings = load("standard", {f"training.{key}": value for key, value in changes.items()})
        return list(reproduction._reasons(settings, {}, {}, {"steps": steps} | (found or {})))

    assert reasons(2000) == []
    assert "ended the run after 900 of 2000 steps" in reasons(900, minutes=1.0)[0]
    assert "say in the learning rate" in reasons(2000, minutes=1.0)[0]
    assert "deterministic is false" in reasons(2000, deterministic=False)[0]
    assert "room for 8 images at once and not for 16" in reasons(2000, {"batch_size": 8}, batch_size=16)[0]
    assert reasons(2000, {"batch_size": 16}, batch_size=16) == []


def test_what_cannot_be_trained_again(tiny: dict, tiny_product: Path, run: Path, tmp_path: Path):
    data = shutil.copytree(tiny_product, tmp_path / "data")
    settings = json.loads((run / "settings.json").read_text())
    settings["data"]["root"] = str(data)
    (run / "settings.json").write_text(json.dumps(settings))
    (data / "train" / "good" / "000.png").unlink()
    with pytest.raises(RunError, match="changed since training; restore them"):
        reproduce(run)
    shutil.rmtree(data)
    with pytest.raises(RunError, match="any more; put them back there"):
        reproduce(run)
    (run / "model.safetensors").unlink()
    with pytest.raises(RunError, match="no trained model; finish it .*--resume"):
        reproduce(run)


def test_other_files_that_a_run_depends_on_are_recorded(tiny: dict, tmp_path: Path):
    from protores.run import environment

    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "a.png").write_bytes(b"1234")
    (tmp_path / "weights.safetensors").write_bytes(b"5678")
    (tmp_path / "model.safetensors").write_bytes(b"90")
    changes = {"model.weights": str(tmp_path / "weights.safetensors"), "synthesis.textures": tmp_path / "textures"}
    changes["training.warm_start"] = tmp_path
    files = environment(load("quick", changes))["files"]
    assert all(len(digest) == 64 for digest in files.values())
    (tmp_path / "textures" / "a.png").write_bytes(b"12345")
    again = environment(load("quick", changes))["files"]
    assert again["weights"] == files["weights"]
    assert again["textures"] != files["textures"]
    assert environment(load("quick"))["files"] == {"weights": None, "textures": None, "warm start": None}


@pytest.mark.usefixtures("trained_before")
@pytest.mark.parametrize(("spoil", "code"), [(False, 0), (True, 1)])
def test_the_command_says_it_by_its_exit_code(run: Path, monkeypatch, capsys, spoil: bool, code: int):
    if spoil:
        state = {name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in _state(run).items()}
        save_file(state, run / "model.safetensors")
    monkeypatch.setattr("sys.argv", ["protores", "reproduce", str(run)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (end.value.code or 0) == code
    assert ("the same bits" in capsys.readouterr().out) is not spoil


def _state(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")
