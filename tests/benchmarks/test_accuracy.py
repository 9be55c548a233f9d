"""A plan is run row by row, goes on where it was, and tells what failed; one real training beside many played ones."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import accuracy
import pytest
from accuracy_tables import METRICS

ROOT = Path(__file__).parents[2]
PLAYED = """
title = "Played"
seen = [1, 2]
seeds = [0, 1]
[data]
toy = ["a", "b"]
"""
PLAYER = """
import json, os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
row = json.loads((folder / "row.json").read_text())
with (folder / "begun").open("a") as file:
    file.write("x")
seen, seed = row["overrides"]["split.seen"], row["overrides"]["seed"]
if row["data"].endswith("b") and seen == 2 and not (folder.parents[1] / "mended").exists():
    print("some words\\nprotores: the cure\\n")
    sys.exit(2)
if (folder.parents[1] / "killed").exists():
    print("training: 12 %", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if (folder.parents[1] / "slow").exists():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    (folder / "waiting").touch()
    time.sleep(60)
metrics = ("image_auroc", "image_ap", "pixel_auroc", "pro", "pixel_ap")
(folder / "figures.json").write_text(json.dumps({
    "averaged_weights": dict.fromkeys(metrics, 0.8 + 0.01 * seen + 0.1 * seed), "best_on_test": None, "apart": {},
    "training_seconds": 1.0, "trained_parameters": 1, "gflop": 1.0, "steps": 1, "input": [64, 64],
    "machine": {"gpu": None, "threads": 1, "processor": "p"},
    "cores": sys.argv[3:] and sys.argv[3],
}))
"""


@pytest.fixture
def played(tmp_path, monkeypatch):
    """played(*options): the exit code of a plan of eight rows whose trainings are played; it is in tmp_path / "out"."""
    (tmp_path / "player.py").write_text(PLAYER)
    (tmp_path / "played.toml").write_text(PLAYED)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(accuracy, "TRAINER", tmp_path / "player.py")
    monkeypatch.setattr(accuracy, "POLL", 0.01)

    def run(*options: str, plan: str = "played.toml") -> int:
        words = ["accuracy.py", tmp_path / plan, "--data", tmp_path / "data", "--out", tmp_path / "out", *options]
        monkeypatch.setattr(sys, "argv", [str(word) for word in (*words, "--weights", "random")])
        return accuracy.main()

    return run


def begun(out: Path) -> dict[str, int]:
    """How often each row was begun, by its folder."""
    return {path.parent.name: len(path.read_text()) for path in out.glob("rows/*/begun")}


def result(out: Path) -> dict:
    return json.loads((out / "played_full.json").read_text())


def test_a_failed_row_is_told_while_the_others_go_on_and_tried_again(played, tmp_path, capsys):
    out = tmp_path / "out"
    assert played("--jobs", "3") == 1
    assert set(begun(out).values()) == {1}
    assert len(begun(out)) == 8
    found = result(out)
    assert found["unfinished"] == {
        f"toy/b/standard/seen2/seed{seed}": "protores: the cure" for seed in (0, 1)
    }
    assert len(found["rows"]) == 6
    assert "failed: toy/b/standard/seen2/seed0: protores: the cure" in capsys.readouterr().err
    assert "Not finished: 2 failed, 0 not run." in (out / "played_full.md").read_text()

    (out / "mended").touch()
    assert played() == 0
    assert sorted(begun(out).values()) == [1] * 6 + [2] * 2
    assert result(out)["unfinished"] == {}


def test_a_row_that_something_killed_says_so(played, tmp_path):
    (tmp_path / "out/killed").touch()
    assert played("--only", "toy/a/*seen1/seed0") == 1
    assert result(tmp_path / "out")["unfinished"]["toy/a/standard/seen1/seed0"] == "SIGKILL after: training: 12 %"


def test_what_is_finished_is_not_run_again_and_what_has_other_settings_is(played, tmp_path):
    out = tmp_path / "out"
    (out / "mended").touch()
    assert played("--jobs", "2") == 0
    assert played("--jobs", "1") == 0
    assert set(begun(out).values()) == {1}
    (tmp_path / "other.toml").write_text(PLAYED.replace("[data]", "overrides.training.dice = 0.5\n[data]"))
    assert played(plan="other.toml") == 0
    assert len(begun(out)) == 16
    (tmp_path / "part.toml").write_text(PLAYED.replace("[1, 2]", "[2]"))
    assert played(plan="part.toml") == 0
    assert len(begun(out)) == 16


def test_the_table_is_that_of_the_rows(played, tmp_path):
    (tmp_path / "out/mended").touch()
    played()
    table = result(tmp_path / "out")["table"]
    lines = {(line["product"], line["seen"]): line for line in table}
    assert list(lines) == [("toy/a", 1), ("toy/a", 2), ("toy/b", 1), ("toy/b", 2)] + [
        ("toy, mean of 2", 1),
        ("toy, mean of 2", 2),
    ]
    for metric in METRICS:
        own = lines["toy/b", 2]["averaged_weights"][metric]
        assert own == {"n": 2, "mean": pytest.approx(0.87), "std": pytest.approx(0.1 / 2**0.5)}


def test_only_and_list(played, tmp_path, capsys):
    out = tmp_path / "out"
    assert played("--only", "toy/a/*seed1") == 0
    assert len(begun(out)) == 2
    capsys.readouterr()
    assert played("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert sorted(line.split()[1] for line in lines if line.startswith("finished")) == [
        "toy/a/standard/seen1/seed1",
        "toy/a/standard/seen2/seed1",
    ]
    assert len(begun(out)) == 2


def test_stopped_it_ends_its_processes_and_says_how_to_go_on(played, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "slow").touch()

    def stop(*_):
        if list(out.glob("rows/*/waiting")):
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        assert played("--only", "toy/a") == 130
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert "the same command goes on from there" in capsys.readouterr().err
    assert result(out)["rows"] == []
    (out / "slow").unlink()
    assert played("--only", "toy/a") == 0
    assert len(result(out)["rows"]) == 4


def test_side_by_side_they_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 6}, raising=False)
    assert accuracy.shares(1) == [[]]
    assert accuracy.shares(2) == [[0, 2, 6], [1, 3]]
    assert accuracy.shares(7) == [[0], [1], [2], [3], [6], [0], [1]]


@pytest.mark.parametrize(
    ("words", "cure"),
    [(["--size", "full"], "a plan, --data and --out are needed"), (["missing.toml"], "a plan, --data and --out")],
)
def test_what_is_missing_is_said(monkeypatch, capsys, words, cure):
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *words])
    with pytest.raises(SystemExit):
        accuracy.main()
    assert cure in capsys.readouterr().err


def test_a_wrong_plan_is_one_line(played, tmp_path, capsys):
    (tmp_path / "wrong.toml").write_text(PLAYED.replace("[data]", "overrides.training.stepz = 5\n[data]"))
    assert played(plan="wrong.toml") == 2
    assert "did you mean training.steps" in capsys.readouterr().err


def test_killed_in_the_midst_of_a_real_training_it_goes_on(tiny, tiny_product, tmp_path):
    """Runner and training are killed; the same command ends the row (bit for bit: test_row.py)."""
    plan = tmp_path / "real.toml"
    settings = {k: v for k, v in tiny.items() if v is not None and k not in ("model.weights", "split.seen")}
    lines = [f"overrides.{key} = {json.dumps(value)}" for key, value in (settings | {"training.steps": 60}).items()]
    head = ['title = "Real"', "seen = [5]", "seeds = [0]", "looks = 2"]
    data = ["[data]", f'{tiny_product.parent.name} = ["{tiny_product.name}"]']
    plan.write_text("\n".join([*head, *lines, *data]))
    words = [sys.executable, ROOT / "benchmarks/accuracy.py", plan, "--data", tiny_product.parents[1]]
    words += ["--out", tmp_path / "out", "--weights", "random"]

    def begin() -> subprocess.Popen:
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, start_new_session=True)

    cut, until = begin(), time.monotonic() + 120
    while time.monotonic() < until and not list((tmp_path / "out").glob("rows/*/looks.json")):
        time.sleep(0.01)
    os.killpg(cut.pid, signal.SIGKILL)
    cut.wait()
    row = next((tmp_path / "out/rows").iterdir())
    assert (row / "run/unfinished/checkpoint.safetensors").exists()
    assert not (row / "figures.json").exists()
    assert begin().wait() == 0
    found = json.loads((tmp_path / "out/real_full.json").read_text())
    metrics = json.loads((row / "run/metrics.json").read_text())
    assert found["table"][0]["averaged_weights"]["pixel_ap"]["mean"] == metrics["pixel_ap"]
    assert [look["step"] for look in found["rows"][0]["looks"]] == [30, 60]
