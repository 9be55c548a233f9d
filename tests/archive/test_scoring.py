"""An archive on Ray: the same rows however often it is killed, none twice, and one line for what cannot be."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fsspec
import psutil
import pyarrow.parquet as pq
import pytest

from protores.archive import scoring
from protores.archive import shard as shards
from protores.archive.manifest import FOLDER, Manifest
from protores.archive.scorer import ShardScorer, Worker
from protores.archive.scoring import LOCK, score
from protores.archive.shard import PREFIX, Counts
from protores.errors import ArchiveError, ClusterError, DataError, RunError
from protores.lock import lock
from protores.progress import Progress

Score = Callable[..., scoring.Scored]


@pytest.fixture
def run(cluster, judging, archive, tmp_path) -> Score:
    """run(out=, **of score): the archive, in shards of five unless it was begun."""

    def scored(out: Path = tmp_path / "scored", bundle: Path = judging, source: str = str(archive), **options):
        size = options.pop("shard_size", None if (out / FOLDER).exists() else 5)
        return score(bundle, source, out, shard_size=size, runtime="onnxruntime", **options)

    return scored


@pytest.fixture
def uninterrupted(run, rows_of, tmp_path) -> list[dict]:
    """What a run that nothing happened to gives."""
    run(tmp_path / "uninterrupted")
    return rows_of(tmp_path / "uninterrupted")


def stamps(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob(f"{PREFIX}*")}


def test_an_archive_is_scored_once(run, archive, rows_of, tmp_path):
    found = run()
    rows = rows_of(tmp_path / "scored")
    assert [row["path"] for row in rows] == [
        path.relative_to(archive).as_posix() for path in sorted(archive.rglob("*.png"))
    ]
    assert found.counts == Counts.of(rows)
    assert found.before == 0
    assert found.counts.unreadable == 1
    assert pq.read_table(tmp_path / "scored").num_rows == 13, "readers of Parquet take the folder as it is"
    before = stamps(tmp_path / "scored")
    again = run()
    assert (again.counts, again.before) == (found.counts, 13)
    assert stamps(tmp_path / "scored") == before


def test_what_is_missing_or_damaged_is_scored_again_and_nothing_else(run, uninterrupted, rows_of, tmp_path):
    out = tmp_path / "scored"
    run()
    before = stamps(out)
    (out / "shard-000000.parquet").unlink()
    (out / "shard-000001.parquet").write_bytes((out / "shard-000001.parquet").read_bytes()[:-9])
    (out / ".part-shard-000002.parquet-00ff").write_bytes(b"half")
    assert run().before == 3
    assert rows_of(out) == uninterrupted
    assert stamps(out)["shard-000002.parquet"] == before["shard-000002.parquet"]
    assert {path.name for path in out.iterdir()} == {*before, FOLDER, LOCK}


def test_images_that_come_later_are_another_archives(run, archive, boards, rows_of, tmp_path):
    run()
    (archive / "2025" / "00a.png").write_bytes(boards[0])
    assert run().counts.images == 13
    run(tmp_path / "later")
    assert len(rows_of(tmp_path / "later")) == 14


class Killing(Progress):
    """Ends a worker's process at the first shard that is done."""

    def __init__(self, out: Path):
        self.out, self.killed = out, 0

    def track(self, what: str, done: float, total: float, detail: str = "") -> None:
        if self.killed or not done:
            return
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if "MapWorker(MapBatches(Worker))" in " ".join(process.cmdline()):
                    process.kill()
                    self.killed += 1


def test_a_worker_that_dies_is_replaced(run, archive, boards, rows_of, tmp_path):
    for number in range(200):
        (archive / "2026" / f"more{number:03d}.png").write_bytes(boards[number % len(boards)])
    killing = Killing(tmp_path / "scored")
    run(progress=killing, workers=1)
    assert killing.killed == 1
    rows = rows_of(tmp_path / "scored")
    assert len(rows) == len({row["path"] for row in rows}) == 213
    run(tmp_path / "uninterrupted")
    assert rows == rows_of(tmp_path / "uninterrupted")


def test_images_that_kill_every_worker_end_the_command(run, rows_of, monkeypatch, tmp_path):
    class Deadly(Worker):
        """A worker that dies of its second shard, as one without memory would."""

        def __call__(self, batch):
            self.scorer = ShardScorer(self.task)
            if batch["shard"][0] == 1:
                self.scorer._read = lambda path: os._exit(1)
            return super().__call__(batch)

    monkeypatch.setattr(scoring, "Worker", Deadly)
    with pytest.raises(ArchiveError, match=r"4 workers died over 2025/05\.png to .*; the same command goes on"):
        run(workers=1)
    monkeypatch.undo()
    assert run().counts.images == len(rows_of(tmp_path / "scored")) == 13


@pytest.fixture
def long_archive(archive, boards) -> Path:
    """1,000 images more."""
    for number in range(1000):
        (archive / "2026" / f"more{number:04d}.png").write_bytes(boards[number % len(boards)])
    return archive


def test_ended_and_killed_it_goes_on_to_the_same_rows(run, judging, long_archive, rows_of, tmp_path):
    """SIGTERM, then SIGKILL, then to the end: as if nothing had been, by the same command."""
    out = tmp_path / "scored"
    words = ["score", judging, long_archive, "--out", out, "--shard-size", "5", "--workers", "1"]
    words += ["--runtime", "onnxruntime"]
    for ending, expected in ((signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
        done = len(stamps(out))
        with (tmp_path / "told").open("w") as told:
            process = subprocess.Popen([sys.executable, "-m", "protores.cli", *map(str, words)], stderr=told)
        deadline = time.monotonic() + 300
        while len(stamps(out)) < done + 3 and process.poll() is None:
            assert time.monotonic() < deadline, "no shard came"
            time.sleep(0.01)
        process.send_signal(ending)
        assert process.wait(300) == expected
        if ending == signal.SIGTERM:
            assert (tmp_path / "told").read_text().splitlines()[
                -1
            ] == "protores: stopped; the same command goes on from there"
            assert not list(out.glob(".part-*"))
        whole = len(stamps(out))
        assert done + 3 <= whole < 203, "it was not cut off in the middle"
        assert all(shards.read_counts(Manifest.read(out), int(name[6:12])) for name in stamps(out))
    assert 5 * whole <= run().before < 1013
    rows = rows_of(out)
    assert len(rows) == len({row["path"] for row in rows}) == 1013
    run(tmp_path / "uninterrupted")
    assert rows == rows_of(tmp_path / "uninterrupted")


# What cannot be


def test_a_folder_belongs_to_a_source_a_bundle_and_a_size(run, make_bundle, archive, tmp_path):
    run()
    before = stamps(tmp_path / "scored")
    with pytest.raises(ArchiveError, match=f"belongs to {archive}; take another --out"):
        run(source=str(archive / "2025"))
    with pytest.raises(ArchiveError, match="belongs to another bundle, or to other thresholds; take another --out"):
        run(bundle=make_bundle((64, 64), name="other", bad_above=0.5, good_below=0.5))
    with pytest.raises(ArchiveError, match="was begun with --shard-size 5; leave it out"):
        run(shard_size=6)
    assert stamps(tmp_path / "scored") == before


def test_a_folder_that_holds_something_else_stays_as_it_is(run, tmp_path):
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "letters.txt").write_text("dear")
    with pytest.raises(ArchiveError, match="holds something else than an archive; take another --out"):
        run()
    assert [path.name for path in (tmp_path / "scored").iterdir()] == ["letters.txt"]


def test_one_process_at_a_time(run, tmp_path):
    run()
    held = lock(tmp_path / "scored" / LOCK, RuntimeError())
    with pytest.raises(ArchiveError, match="is being written by another process; wait for it"):
        run()
    held.close()
    assert run().before == 13


def test_what_workers_do_not_see(run, boards):
    fsspec.filesystem("memory").pipe("/seen/1.png", boards[0])
    with pytest.raises(DataError, match="is in this process's memory, which workers do not see; write it to a folder"):
        run(source="memory://seen")


def test_more_workers_than_cpus(run):
    with pytest.raises(ArchiveError, match="3 workers of 2 threads are more than the 2 CPUs of the cluster; take"):
        run(workers=3, threads=2)


def test_what_fails_in_a_worker_is_one_line(run, archive, tmp_path, monkeypatch):
    """The source went while its manifest stayed."""
    monkeypatch.setattr(scoring, "_run", lambda *_: ())
    assert run().counts.images == 0
    monkeypatch.undo()
    for path in archive.rglob("*.png"):
        path.unlink()
    for folder in archive.iterdir():
        shutil.rmtree(folder)
    with pytest.raises(ArchiveError, match="is gone; the same command goes on once it is back"):
        run()
    assert stamps(tmp_path / "scored") == {}


def test_no_cluster_at_the_address(judging, archive, tmp_path, monkeypatch):
    import ray

    def unreachable(**_):
        raise ConnectionError("Ray is trying to start at 10.0.0.9:6379\nbut nothing answers")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", unreachable)
    with pytest.raises(ClusterError, match=r"no Ray cluster at 10\.0\.0\.9:6379 \(.*\); start one by `ray"):
        score(judging, str(archive), tmp_path / "scored", address="10.0.0.9:6379")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="rights that hold for this user")
def test_a_folder_that_may_not_be_written(run, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(RunError, match="Permission denied; check the path"):
        run(tmp_path / "locked" / "scored")


# The command


def test_the_command(cluster, call, judging, archive, tmp_path):
    words = ["score", judging, archive, "--out", tmp_path / "scored", "--shard-size", 4]
    code, out, err = call(*words)
    assert code == 1
    assert "images    13: " in out
    assert err.splitlines()[-1] == f"protores: 1 images cannot be read, see the column error in {tmp_path / 'scored'}"
    (archive / "2025" / "broken.png").unlink()
    code, out, err = call("score", judging, archive, "--out", tmp_path / "clean")
    assert code == 0
    assert "images    12: " in out


@pytest.mark.parametrize(
    ("bundle", "source", "told"),
    [("archive", "archive", "is no bundle"), ("bundle", "nowhere", "nowhere: no such folder; name a folder")],
)
def test_what_is_neither_bundle_nor_source_is_one_line(call, judging, archive, tmp_path, bundle, source, told):
    code, _, err = call("score", tmp_path / bundle, tmp_path / source, "--out", tmp_path / "scored")
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith("protores: ")
    assert told in last
    assert not (tmp_path / "scored").exists()


WITHOUT = """
import sys
sys.modules["{missing}"] = None
from protores.cli import main
main()
"""


@pytest.mark.parametrize("missing", ["ray", "pyarrow", "fsspec"])
def test_without_the_extra_it_says_how_to_get_it(judging, archive, tmp_path, missing):
    words = ["score", judging, archive, "--out", tmp_path / "scored"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing), *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == f"protores: {missing} is not installed; pip install 'protores[ray]'\n"
    assert not (tmp_path / "scored").exists()
