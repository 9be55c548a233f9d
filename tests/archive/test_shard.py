"""A shard's file: whole or not at all, whoever writes it and whatever fails, and taken only for what it is."""

import errno
import os
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from protores.archive import shard as shards
from protores.archive.manifest import Manifest
from protores.archive.shard import SCHEMA, Counts
from protores.decision.regions import Region

REGION = Region((1, 2, 3, 4), 9, 0.9, 0.5, ((1, 2), (3, 5)), None)


@pytest.fixture
def manifest(tmp_path) -> Manifest:
    """Five images in shards of three."""
    return Manifest(tmp_path, "/archive", "a model", 3, 5, "a digest")


def row(path: str, **found) -> dict:
    return dict.fromkeys(SCHEMA.names) | {"path": path, "model": "a model"} | found


ROWS = [
    row("1.png", sha256="ab", verdict="bad", score=0.93, regions=[REGION.to_dict()]),
    row("2.png", sha256="cd", verdict="look-again", score=0.1 + 0.2, regions=[]),
    row("é.png", error="é.png: damaged"),
]


def test_rows_come_back_as_they_were(manifest):
    counts = shards.write(manifest, 0, ROWS)
    assert counts == Counts(bad=1, look_again=1, unreadable=1)
    assert shards.read_counts(manifest, 0) == counts
    path = shards.path_of(manifest, 0)
    assert path.name == "shard-000000.parquet"
    table = pq.read_table(path)
    assert table.schema == SCHEMA
    assert table.to_pylist() == ROWS
    assert Region.from_dict(table["regions"][0].as_py()[0]) == REGION
    assert table.schema.metadata[b"protores.source"] == b"/archive"


def test_the_same_rows_are_the_same_bytes(manifest):
    shards.write(manifest, 0, ROWS)
    first = shards.path_of(manifest, 0).read_bytes()
    shards.write(manifest, 0, ROWS)
    assert shards.path_of(manifest, 0).read_bytes() == first
    assert len(list(manifest.folder.iterdir())) == 1


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_the_old_state(manifest, monkeypatch, step, there):
    if there:
        shards.write(manifest, 0, ROWS)
    before = {path: path.read_bytes() for path in manifest.folder.iterdir()}

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        shards.write(manifest, 0, [row(f"{number}.png") for number in range(3)])
    assert {path: path.read_bytes() for path in manifest.folder.iterdir()} == before


def test_two_writers_of_one_shard_do_not_meet(manifest, monkeypatch):
    """A worker that was taken for dead writes beside the one that took over."""
    replace_file = os.replace

    def other_first(source, target):
        monkeypatch.setattr(os, "replace", replace_file)
        shards.write(manifest, 0, ROWS)
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", other_first)
    shards.write(manifest, 0, ROWS)
    assert pq.read_table(shards.path_of(manifest, 0)).to_pylist() == ROWS
    assert len(list(manifest.folder.iterdir())) == 1


@pytest.mark.parametrize(
    "other", [{"model": "another"}, {"digest": "another"}, {"images": 2, "shard_size": 3}, {"shard_size": 2}]
)
def test_a_file_of_other_work_is_not_taken(manifest, other):
    shards.write(manifest, 0, ROWS)
    assert shards.read_counts(replace(manifest, **other), 0) is None


def test_a_file_under_another_number_is_not_taken(manifest):
    shards.write(manifest, 0, ROWS)
    os.rename(shards.path_of(manifest, 0), shards.path_of(manifest, 1))
    assert shards.read_counts(manifest, 0) is None
    assert shards.read_counts(replace(manifest, images=6), 1) is None


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_file_that_was_cut_off_is_not_taken(manifest, keep):
    shards.write(manifest, 0, ROWS)
    path = shards.path_of(manifest, 0)
    path.write_bytes(path.read_bytes()[:keep])
    assert shards.read_counts(manifest, 0) is None


def test_sweeping_takes_what_never_got_its_name(manifest):
    shards.write(manifest, 0, ROWS)
    (manifest.folder / ".part-shard-000001.parquet-00ff").write_bytes(b"half")
    shards.sweep(manifest.folder)
    assert list(manifest.folder.iterdir()) == [shards.path_of(manifest, 0)]


def test_counts_add_up():
    rows = [row("1"), row("2", verdict="good"), row("3", error="no"), row("4", verdict="good")]
    counts = Counts.of(rows)
    assert counts == Counts(good=2, unjudged=1, unreadable=1)
    assert counts.images == 4
    assert counts + Counts(bad=3) == Counts(good=2, bad=3, unjudged=1, unreadable=1)
    assert Counts(*counts.to_list()) == counts
