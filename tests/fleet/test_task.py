"""A row trains to what `protores train` gives, once, by one process at a time."""

import json
from pathlib import Path

import pytest

from protores.errors import RunError
from protores.fleet import task
from protores.fleet.row import RowFolder
from protores.fleet.share import Share
from protores.fleet.table import read_table
from protores.fleet.task import train_row
from protores.lock import lock

ONE = Share(1, 0)


@pytest.fixture
def folder(write_table, tiny_row, tmp_path) -> RowFolder:
    row = read_table(write_table([{"product": "board", **tiny_row}])).rows[0]
    asked = row.folder(tmp_path / "out")
    asked.ask(row)
    assert asked.asked() == row
    return asked


def test_it_comes_to_what_train_comes_to_and_is_done_once(folder, tiny_run: Path, monkeypatch):
    for name, value in {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "ray", "SLURM_PROCID": "1"}.items():
        monkeypatch.setenv(name, value)  # Ray's worker may be a task of SLURM, the row is none
    train_row(folder, ONE)
    model = folder.run / "model.safetensors"
    assert model.read_bytes() == (tiny_run / "model.safetensors").read_bytes()
    metrics = json.loads((folder.run / "metrics.json").read_text())
    outcome = folder.outcome()
    assert outcome.figures == {name: metrics[name] for name in outcome.figures}
    assert outcome.steps == 6
    assert "Inspection report of run" in folder.report.read_text(encoding="utf-8")
    folder.report.unlink()
    train_row(folder, ONE)
    assert not folder.report.exists()


def test_a_row_has_one_writer(folder, trained, monkeypatch):
    monkeypatch.setattr(task, "PATIENCE", 0.0)
    held = lock(folder.path / "lock", RunError(""))
    with pytest.raises(RunError, match="another process trains in .*; wait for it, or end it"):
        train_row(folder, ONE)
    held.close()
    train_row(folder, ONE)
    assert trained.rows == [("board", 0)]


def test_a_second_attempt_goes_on_with_the_threads_of_the_first(folder, tiny_run, monkeypatch):
    from protores import workflow

    given = []

    def train(data: Path, out: Path, preset: str, overrides: dict[str, str], resume: bool) -> None:
        given.append((overrides["training.threads"], overrides["training.workers"], resume))
        out.mkdir(exist_ok=True)
        (out / "settings.json").write_bytes((tiny_run / "settings.json").read_bytes())
        raise RunError("cut off")

    monkeypatch.setattr(workflow, "train", train)
    for share in (Share(4, 0), Share(8, 0)):
        with pytest.raises(RunError, match="cut off"):
            train_row(folder, share)
    assert given == [("4", "3", True), ("1", "null", True)]  # as tiny_run was begun
