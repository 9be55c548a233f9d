"""The plan of shards: every path once and in order, however many; there as a whole or not at all."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protores.archive import manifest as module
from protores.archive.manifest import FOLDER, NAME, Manifest
from protores.errors import ArchiveError, DataError
from protores.progress import Progress


def write(folder: Path, paths, shard_size: int = 3) -> Manifest:
    return Manifest.write(folder, "/archive", "a model", shard_size, paths, Progress())


names = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)
odd_names = st.binary(min_size=1).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@settings(deadline=None)
@given(st.lists(names | odd_names, min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 5))
def test_every_path_is_in_one_shard_in_order(paths, shard_size, shards_per_file):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARDS_PER_FILE", shards_per_file)
        written = write(Path(folder), iter(paths), shard_size)
        read = Manifest.read(Path(folder))
        assert read == written
        shards = [read.paths(shard) for shard in range(read.shards)]
        assert [path for shard in shards for path in shard] == paths
        assert [len(shard) for shard in shards] == [read.size(shard) for shard in range(read.shards)]
        assert all(len(shard) == shard_size for shard in shards[:-1])
        assert 0 < len(shards[-1]) <= shard_size
        assert len(list((Path(folder) / FOLDER).glob("*.parquet"))) == -(-len(shards) // shards_per_file)


@settings(deadline=None, max_examples=30)
@given(st.lists(names, min_size=1, max_size=8), st.lists(names, min_size=1, max_size=8))
def test_other_paths_have_another_digest(one, other):
    with TemporaryDirectory() as a, TemporaryDirectory() as b:
        assert (write(Path(a), one).digest == write(Path(b), other).digest) == (one == other)


def test_listing_holds_one_shard_at_a_time(tmp_path, monkeypatch):
    """What was taken from the listing is on its way to the disk before more than a shard is taken."""
    taken, written = 0, []
    write_table = pq.ParquetWriter.write_table

    def counting(self, table, **options):
        written.append((taken, len(table)))
        return write_table(self, table, **options)

    def listing() -> Iterator[str]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield f"{number:03d}.png"

    monkeypatch.setattr(pq.ParquetWriter, "write_table", counting)
    write(tmp_path, listing(), 10)
    assert written == [(10 * (shard + 1), 10) for shard in range(10)]


@pytest.mark.parametrize("after", [0, 1, 7])
def test_a_listing_that_is_cut_off_leaves_nothing(tmp_path, after):
    def listing() -> Iterator[str]:
        yield from (f"{number}.png" for number in range(after))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, listing())
    assert Manifest.read(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_of_a_listing_goes(tmp_path):
    (tmp_path / f"{FOLDER}.part").mkdir()
    (tmp_path / f"{FOLDER}.part" / "paths-000009.parquet").write_bytes(b"half")
    assert write(tmp_path, ["1.png"]).paths(0) == ["1.png"]
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [NAME, "paths-000000.parquet"]


def test_no_images(tmp_path):
    with pytest.raises(DataError, match="/archive: no images; name a folder or URL that holds some"):
        write(tmp_path, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change", [{"version": 2}, {"format": "else"}, {"images": "many"}, {"images": 0}, {"shard_size": True}, {"more": 1}]
)
def test_a_manifest_of_something_else_is_told(tmp_path, change):
    write(tmp_path, ["1.png"])
    path = tmp_path / FOLDER / NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArchiveError, match="is not of this protores; begin anew in another --out"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"3"])
def test_a_damaged_manifest_is_told(tmp_path, content):
    write(tmp_path, ["1.png"])
    (tmp_path / FOLDER / NAME).write_bytes(content)
    with pytest.raises(ArchiveError, match="begin anew in another --out"):
        Manifest.read(tmp_path)


def test_damaged_paths_are_told(tmp_path):
    manifest = write(tmp_path, ["1.png"])
    (tmp_path / FOLDER / "paths-000000.parquet").write_bytes(b"no parquet")
    with pytest.raises(ArchiveError, match=r"paths-000000\.parquet is missing or damaged; begin anew"):
        manifest.paths(0)
