"""A run's folder: half a file is never left, what is read is what was written, damage is named."""

import errno
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from protores.errors import RunError
from protores.files import write_json, write_text
from protores.run import Run
from protores.training.checkpoint import read_progress, save_tensors


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    text, tensors = tmp_path / "a.txt", tmp_path / "a.safetensors"
    write_text(text, "old")
    save_tensors(tensors, {"a": torch.zeros(3)})
    before = tensors.read_bytes()

    def write_half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match="No space"):
        write_text(text, "new")
    with pytest.raises(OSError, match="No space"):
        save_tensors(tensors, {"a": torch.ones(3)})
    assert text.read_text() == "old"
    assert tensors.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "a.safetensors"}


def test_text_and_json_are_utf8(tmp_path):
    write_json(tmp_path / "a.json", {"größe": "µm"})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "größe": "µm"\n}\n'.encode()


def test_what_counts_as_existing(tmp_path):
    assert not Run(tmp_path / "nowhere").exists
    (tmp_path / "empty").mkdir()
    assert not Run(tmp_path / "empty").exists
    (tmp_path / "empty" / "file").write_text("x")
    assert Run(tmp_path / "empty").exists
    assert Run(tmp_path / "empty" / "file").exists


def test_the_network_is_read_as_it_was_written(tiny_run, tmp_path):
    run = Run(tiny_run)
    network = run.load_network(run.read_settings())
    assert not network.training
    copy = Run(tmp_path)
    copy.save_network(network)
    assert copy.model.read_bytes() == run.model.read_bytes()


def test_settings_and_split_are_read_as_they_were_written(tiny_run):
    run = Run(tiny_run)
    assert run.settings.read_text() == run.read_settings().model_dump_json(indent=2) + "\n"
    assert run.split.read_text() == run.read_split().to_json() + "\n"


@pytest.mark.parametrize("name", ["metrics.json", "environment.json"])
@pytest.mark.parametrize("content", [b"[1]", b"null", b"\xff\xfe", b"{", b"[" * 10**5, b'{"a": ' + b"9" * 5000 + b"}"])
def test_json_that_is_no_object_is_one_line(tiny_run, tmp_path, name, content):
    run = Run(shutil.copytree(tiny_run, tmp_path / "run"))
    (run.path / name).write_bytes(content)
    with pytest.raises(RunError, match=f"{name} .*restore the file or train anew"):
        run.facts()


@pytest.mark.parametrize("meta", [None, "", "{}", "[]", "null", '{"step": "x"}', '{"step": 1}', "["])
def test_a_checkpoint_that_tells_no_progress_is_one_line(tmp_path, meta):
    path = tmp_path / "checkpoint.safetensors"
    save_tensors(path, {"a": torch.zeros(1)}, None if meta is None else {"progress": meta})
    with pytest.raises(RunError, match="cannot be read; delete the run and train anew"):
        read_progress(path)


@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(0), torch.zeros(2, 2)])
def test_prototypes_of_a_nonsensical_shape_do_not_fit(tiny_run, tmp_path, tensor):
    run = Run(shutil.copytree(tiny_run, tmp_path / "run"))
    names = ("residuals.prototypes.norms_0", "residuals.prototypes.clusters_0")
    save_tensors(run.model, load_file(run.model) | {name: tensor.clone() for name in names})
    with pytest.raises(RunError, match="does not fit settings.json"):
        run.load_network(run.read_settings())


def test_an_unfinished_run_has_no_network(tiny_run, tmp_path):
    settings = Run(tiny_run).read_settings()
    with pytest.raises(RunError, match="no trained model; finish it with .*--resume"):
        Run(tmp_path).load_network(settings)
