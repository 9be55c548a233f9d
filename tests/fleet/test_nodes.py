"""On Ray itself: a node is lost in the middle, a fleet is stopped and killed; all rows come out, with the same bits."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from protores.cluster import connected
from protores.fleet.fleet import fleet

STORE = 80 * 2**20
"""Bytes; the least that Ray takes is 75 MiB."""


@pytest.fixture
def cluster() -> Iterator:
    """A Ray cluster on this machine, of one node with one CPU."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    started = Cluster(initialize_head=True, head_node_args=head)
    yield started
    started.shutdown()


def training(out: Path) -> list[Path]:
    """Folders of the rows that have begun to train and are not finished."""
    begun = (path.parents[2] for path in out.glob("rows/*/*/run/unfinished/checkpoint.safetensors"))
    return [folder for folder in begun if not (folder / "outcome.json").exists()]


def when(happens: Callable[[], bool], seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.05)


def models(out: Path) -> set[bytes]:
    return {path.read_bytes() for path in out.glob("rows/*/*/run/model.safetensors")}


def test_a_node_is_lost_in_the_middle_and_all_rows_come_out(cluster, write_table, tiny_row, tmp_path):
    row = {**tiny_row, "training.steps": 40}
    table, out = write_table([{"product": name, **row} for name in "abc"]), tmp_path / "out"
    seen: list[int] = []

    def kill() -> None:
        when(lambda: len(training(out)) == 2)
        seen.append(len(training(out)))
        cluster.remove_node(lost, allow_graceful=False)

    with connected(cluster.address):  # while there is but one node: a driver may not lose its own
        lost = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        killer = threading.Thread(target=kill)
        killer.start()
        summary = fleet(table, out, cluster.address)
        killer.join()
    assert seen == [2], "each node trained a row when one was killed"
    assert len(cluster.list_all_nodes()) == 1
    assert summary.failed == []
    assert len(summary.finished) == 3
    assert all((out / entry.folder / "report.html").exists() for entry in summary.finished)
    assert len(models(out)) == 1, "the three are the same training, one of them in two parts"


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_or_killed_the_same_command_goes_on(number, write_table, tiny_row, tiny_run, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "protores.cli", "fleet", write_table([{"product": "a", **tiny_row}]), "--out", out]
    first = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    when(lambda: bool(training(out)))
    if number == signal.SIGINT:
        os.killpg(first.pid, number)  # as a terminal does
    else:
        first.send_signal(number)
    told = first.communicate(timeout=300)[1]
    assert first.returncode == (-number if number == signal.SIGKILL else 130), told
    assert number == signal.SIGKILL or told.endswith("protores: stopped; the same command goes on from there\n")
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert models(out) == {(tiny_run / "model.safetensors").read_bytes()}
