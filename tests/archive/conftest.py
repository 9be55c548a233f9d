"""An archive of a few toy images, the bundle that scores it, and one Ray cluster for all tests that need one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from protores import toy
from protores.archive.shard import PREFIX

SIZE = (64, 64)


def encoded(seed: int) -> bytes:
    """A board as PNG."""
    return cv2.imencode(".png", toy.draw_good(np.random.default_rng(seed), SIZE[0])[..., ::-1])[1].tobytes()


@pytest.fixture
def rows_of() -> Callable[[Path], list[dict]]:
    """rows_of(out): all rows, in the order of shards."""

    def read(out: Path) -> list[dict]:
        return [row for path in sorted(out.glob(f"{PREFIX}*")) for row in pq.read_table(path).to_pylist()]

    return read


@pytest.fixture(scope="session")
def boards() -> list[bytes]:
    """PNG files. Not to be changed."""
    return [encoded(seed) for seed in range(12)]


@pytest.fixture
def archive(boards, tmp_path) -> Path:
    """Twelve boards in two folders and, between them, a file that is no image."""
    for number, board in enumerate(boards):
        path = tmp_path / "archive" / ("2025" if number < 7 else "2026") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(board)
    (tmp_path / "archive" / "2025" / "broken.png").write_bytes(b"no image")
    return tmp_path / "archive"


@pytest.fixture
def judging(make_bundle) -> Path:
    """A bundle with thresholds between its scores, so that there are verdicts and regions."""
    return make_bundle(SIZE, map_threshold=0.9, good_below=0.974, bad_above=0.985)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Ray on two of this machine's CPUs, for the whole session: it takes seconds to start."""
    from protores.cluster import connected

    with connected(cpus=2):
        yield
