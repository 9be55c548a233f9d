"""A process that ends at any step in the archive's folder leaves whole shards or none, and goes on from there."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from protores.archive import scoring
from protores.archive import shard as shards
from protores.archive.manifest import Manifest
from protores.archive.scoring import score

KILLED = 9
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="such a process is forked")


def ended_at(step: int, root: Path, work: Callable[[], object]) -> bool:
    """Whether a process that ends, without a word, at its n-th step below root did not come to work's end.

    Steps are what Python reports to an audit hook: files opened, renamed and removed, folders made and removed.
    """
    process = os.fork()
    if process == 0:
        left = step

        def hook(event: str, arguments: tuple) -> None:
            nonlocal left
            if event.startswith(("open", "os.")) and any(str(root) in str(argument) for argument in arguments):
                left -= 1
                if left == 0:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


@pytest.fixture
def work(judging, archive, monkeypatch) -> Callable[[Path], object]:
    """work(out): score, with shards written here and now in the place of workers. Rows say nothing but the path."""

    def written(task, waiting, *_):
        manifest = Manifest.read(task.out)
        empty = dict.fromkeys(shards.SCHEMA.names)
        for shard in waiting:
            rows = [empty | {"path": path, "model": manifest.model} for path in manifest.paths(shard)]
            yield shards.write(manifest, shard, rows)

    monkeypatch.setattr(scoring, "_run", written)
    return lambda out: score(judging, str(archive), out, shard_size=4)


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_killed_at_any_step_it_goes_on_to_the_same(work, tmp_path):
    work(tmp_path / "uninterrupted")
    expected = contents(tmp_path / "uninterrupted")
    assert len(expected) == 7
    step = 0
    while True:
        out, step = tmp_path / f"killed{step}", step + 1
        if not ended_at(step, out, lambda out=out: work(out)):
            break
        there = contents(out) if out.exists() else {}
        assert all(there[name] == expected[name] for name in there if name in expected)
        work(out)
        assert contents(out) == expected
    assert step > 15


def test_killed_again_and_again_it_comes_to_its_end(work, tmp_path):
    work(tmp_path / "uninterrupted")
    out, kills = tmp_path / "scored", 0
    while ended_at(10 + kills, out, lambda: work(out)):
        kills += 1
    assert kills > 5
    assert contents(out) == contents(tmp_path / "uninterrupted")
