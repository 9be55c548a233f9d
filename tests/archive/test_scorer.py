"""A worker's rows are what predict says, image by image, from whatever the archive lies in."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest

from protores.archive import shard as shards
from protores.archive.manifest import FOLDER, Manifest
from protores.archive.scorer import ATTEMPTS, ShardScorer, Task, Worker
from protores.archive.shard import Counts
from protores.archive.source import Source
from protores.errors import ArchiveError, BundleError, RunError
from protores.prediction import predict
from protores.progress import Progress
from protores.runtime.inspector import Inspector, digest_of

MakeTask = Callable[..., Task]


@pytest.fixture
def make_task(judging, archive, tmp_path) -> MakeTask:
    """make_task(url=, shard_size=): an archive's folder with its manifest, and what its workers are told."""

    def make(url: str = str(archive), shard_size: int = 5, bundle: Path = judging) -> Task:
        out, source = tmp_path / "scored", Source(url)
        out.mkdir(exist_ok=True)
        Manifest.write(out, source.url, digest_of(bundle), shard_size, source.paths(), Progress())
        return Task(bundle, out, url, "onnxruntime", 1)

    return make


def scored(task: Task) -> Counts:
    scorer = ShardScorer(task)
    return sum((scorer.score(shard) for shard in range(scorer.manifest.shards)), Counts())


def test_rows_are_what_predict_says(make_task, judging, archive, rows_of, tmp_path):
    counts = scored(make_task())
    rows = rows_of(tmp_path / "scored")
    predictions = predict(judging, [archive], tmp_path / "found", runtime="onnxruntime", pictures=False)
    assert [archive / row["path"] for row in rows] == [prediction.path for prediction in predictions]
    for row, prediction in zip(rows, predictions, strict=True):
        expected = prediction.to_dict()
        for name in ("sha256", "product", "verdict", "model"):
            assert row[name] == expected.get(name)
        assert row["score"] == pytest.approx(expected.get("score"), abs=1e-6)
        assert (row["regions"] is None) == (row["error"] is not None) == (prediction.error is not None)
        for region, other in zip(row["regions"] or [], expected.get("regions", []), strict=True):
            for name in ("peak", "mean"):
                assert region.pop(name) == pytest.approx(other.pop(name), abs=1e-6)
            assert region == other
    assert sum(len(row["regions"] or []) for row in rows) > 0
    assert len({row["verdict"] for row in rows}) > 2
    assert counts == Counts.of(rows)


def test_an_image_that_cannot_be_read_is_a_row(make_task, archive, rows_of, tmp_path):
    task = make_task()
    (archive / "2026" / "08.png").unlink()
    assert scored(task).unreadable == 2
    rows = {row["path"]: row for row in rows_of(tmp_path / "scored")}
    assert len(rows) == 13
    broken, gone = rows["2025/broken.png"], rows["2026/08.png"]
    assert broken["error"].startswith("2025/broken.png: damaged, or not an image; ")
    assert gone["error"] == "2026/08.png: No such file or directory; check the file and its rights"
    assert (len(broken["sha256"]), gone["sha256"]) == (64, None)
    assert all(row[name] is None for row in (broken, gone) for name in ("verdict", "score", "regions"))


def test_an_archive_in_memory_and_one_in_a_zip_have_the_folders_rows(make_task, archive, rows_of, tmp_path):
    scored(make_task())
    expected = rows_of(tmp_path / "scored")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", archive)
    fsspec.filesystem("memory").put(str(archive) + "/", "/packed/", recursive=True)
    for url in (f"zip::{packed}", "memory://packed"):
        shutil.rmtree(tmp_path / "scored")
        scored(make_task(url))
        assert rows_of(tmp_path / "scored") == expected


@pytest.mark.skipif(os.name == "nt", reason="file names there are text")
def test_a_name_that_is_no_text_is_a_row(make_task, boards, rows_of, tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / os.fsdecode(b"\xff.png")).write_bytes(boards[0])
    (tmp_path / "odd" / os.fsdecode(b"\xfe.png")).write_bytes(b"")
    scored(make_task(str(tmp_path / "odd")))
    empty, board = rows_of(tmp_path / "scored")
    assert (board["path"], board["error"]) == (r"\xff.png", None)
    assert empty["error"].startswith(r"\xfe.png: the file is empty")


def test_scored_again_a_shard_is_the_same_bytes(make_task, tmp_path):
    task = make_task()
    scored(task)
    first = {path.name: path.read_bytes() for path in task.out.glob("*.parquet")}
    scored(task)
    assert {path.name: path.read_bytes() for path in task.out.glob("*.parquet")} == first
    assert len(first) == 3


def test_without_thresholds_there_is_no_verdict(make_task, make_bundle, rows_of, tmp_path):
    counts = scored(make_task(bundle=make_bundle((64, 64), name="plain")))
    assert counts == Counts(unjudged=12, unreadable=1)
    rows = rows_of(tmp_path / "scored")
    assert {row["verdict"] for row in rows} == {None}
    assert sum(row["score"] is not None for row in rows) == 12


# What ends the work


def test_a_bundle_that_was_changed_scores_nothing(make_task, judging):
    task = make_task()
    contract = json.loads((judging / "contract.json").read_text())
    contract["decision"]["bad_above"] = 0.99
    (judging / "contract.json").write_text(json.dumps(contract))
    assert digest_of(judging) == Inspector(judging).digest
    with pytest.raises(BundleError, match="was changed while it scored; put it back, or begin anew in another --out"):
        ShardScorer(task)


def test_what_stops_a_worker_is_told_in_one_line(make_task, archive, monkeypatch):
    task = make_task()
    shutil.rmtree(archive)
    told = Worker(task)({"shard": np.array([0])})
    assert told["failure"] == [f"{archive}: no such folder; name a folder, a URL of one, or a file as zip::FILE"]
    archive.mkdir()
    told = Worker(task)({"shard": np.array([0])})
    assert told["failure"] == [f"{archive} is gone; the same command goes on once it is back"]
    assert not list(task.out.glob("*.parquet"))


def test_a_shard_that_ended_its_workers_is_not_begun_for_ever(make_task):
    scorer = ShardScorer(make_task())
    for times in range(1, ATTEMPTS + 1):
        assert shards.begin(scorer.manifest, 1) == times
    assert scorer.score(0).images == 5
    with pytest.raises(ArchiveError, match=r"4 workers died over 2025/05\.png to 2026/08\.png; take fewer --workers"):
        scorer.score(1)
    shards.sweep(scorer.manifest.folder)
    assert scorer.score(1).images == 5
    assert sorted(path.name[:6] for path in scorer.manifest.folder.iterdir()) == [FOLDER[:6], "shard-", "shard-"]


def test_a_full_disk_is_told(make_task, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    scorer = ShardScorer(make_task())
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match="is full; free some space; the same command goes on"):
        scorer.score(0)
    shards.sweep(scorer.manifest.folder)
    assert sorted(path.name for path in scorer.manifest.folder.iterdir()) == [FOLDER]


def test_a_folder_that_this_machine_does_not_see(make_task, tmp_path):
    task = make_task()
    shutil.rmtree(task.out)
    with pytest.raises(ArchiveError, match="has no manifest on this machine; give an --out that all machines see"):
        ShardScorer(task)


def test_memory_holds_a_shard_and_a_few_images(make_task, boards, tmp_path, monkeypatch):
    """However long the archive: what is read ahead of the network is bounded."""
    (tmp_path / "long").mkdir()
    for number in range(60):
        (tmp_path / "long" / f"{number:02d}.png").write_bytes(boards[number % len(boards)])
    reading, finished, most = 0, 0, 0
    scorer = ShardScorer(make_task(str(tmp_path / "long"), shard_size=60))
    read, row = scorer.source.read, scorer._row

    def counted_read(path):
        nonlocal reading, most
        reading += 1
        most = max(most, reading - finished)
        return read(path)

    def counted_row(file):
        nonlocal finished
        finished += 1
        return row(file)

    monkeypatch.setattr(scorer.source, "read", counted_read)
    monkeypatch.setattr(scorer, "_row", counted_row)
    scorer.score(0)
    assert finished == 60
    assert most <= 24
