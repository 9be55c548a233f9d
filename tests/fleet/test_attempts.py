"""Ray's part, with rows that take no time: what fails is tried three times, what is stopped is let end in order."""

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protores.cluster import connected
from protores.errors import DataError
from protores.fleet import attempts
from protores.fleet.attempts import attempt
from protores.fleet.row import RowFolder
from protores.fleet.share import Share

ONE = Share(1, 0)


@pytest.fixture(scope="module")
def _ray() -> Iterator[None]:
    """A cluster of two CPUs on this machine."""
    with connected(cpus=2):
        yield


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[RowFolder]]:
    """rows(*names): folders of rows; the name says what the stand-in for training does."""

    def make(*names: str) -> list[RowFolder]:
        for name in names:
            (tmp_path / name).mkdir()
        return [RowFolder(tmp_path / name) for name in names]

    return make


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, _ray) -> None:
    """Notes its process, and does what the folder is called. A function in here travels to the workers as it is."""

    def train_row(folder: RowFolder, share: Share) -> None:
        with (folder.path / "attempts").open("a") as file:
            file.write(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}\n")
        match folder.path.name.split()[0]:
            case "fails":
                raise DataError("1.png: cannot be read;\nremove it")
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "lasts":
                try:
                    time.sleep(60)
                except KeyboardInterrupt:
                    (folder.path / "saved").touch()
                    raise

    monkeypatch.setattr(attempts, "train_row", train_row)


def tried(folder: RowFolder) -> list[str]:
    path = folder.path / "attempts"
    return path.read_text().splitlines() if path.exists() else []


def test_what_fails_is_tried_three_times_and_the_others_go_on(rows):
    folders = rows("fails", "dies", "works")
    ended: dict[str, str | None] = {}
    attempt(folders, ONE, lambda folder, failure: ended.update({folder.path.name: failure}), lambda: None)
    assert ended["fails"] == "1.png: cannot be read; remove it"
    assert ended["dies"].startswith("its process or machine was lost 3 times (")
    assert ended["works"] is None
    assert [len(tried(folder)) for folder in folders] == [3, 3, 1]
    processes = [line for folder in folders for line in tried(folder)]
    assert len(set(processes)) == len(processes), "a process for each attempt"
    assert all(line.endswith(" 1") for line in processes), "one thread for one CPU"


def test_stopped_rows_end_in_order_and_waiting_ones_never_begin(rows):
    folders = rows("lasts 1", "lasts 2", "lasts 3")
    ended: list[RowFolder] = []

    def stop() -> None:
        while not (tried(folders[0]) and tried(folders[1])):
            time.sleep(0.05)
        _thread.interrupt_main()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(KeyboardInterrupt):
        attempt(folders, ONE, lambda folder, failure: ended.append(folder), lambda: None)
    stopper.join()
    assert ended == []
    assert [(folder.path / "saved").exists() for folder in folders] == [True, True, False]
    assert [len(tried(folder)) for folder in folders] == [1, 1, 0]


def test_what_the_machines_have(rows):
    assert [(machine["CPU"], machine.get("GPU", 0)) for machine in attempts.machines()] == [(2, 0)]
