"""A Ray cluster to work on: one that runs already, or this machine's cores for as long as the work takes."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import Any, TextIO

from protores.errors import ClusterError

OBJECT_STORE = 100 * 2**20
"""Bytes of this machine's memory for what Ray's processes hand each other: a few numbers per task."""


@contextmanager
def connected(address: str | None = None, cpus: int | None = None) -> Iterator[int]:
    """Ray for as long as the context; gives its CPUs. One that this process is connected to already is taken as it is.

    address: as ray.init takes it ("auto", HOST:PORT); None: this machine alone, without dashboard and statistics, with
    so many CPUs, or all cores. SIGTERM is a KeyboardInterrupt meanwhile: Ray would end the process at once.
    Raises ClusterError where the cluster cannot be reached or started.
    """
    import ray

    if ray.is_initialized():
        yield _cpus()
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    own = {"num_cpus": cpus, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    where: dict[str, Any] = {"address": address} if address else {"address": "local"} | own
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with _quiet():
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **where)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        cure = "start one by `ray start --head` and pass its address" if address else "look at the free memory and /tmp"
        raise ClusterError(f"no Ray cluster at {address or 'this machine'} ({reason}); {cure}") from error
    try:
        if main:
            signal.signal(signal.SIGTERM, _interrupt)
        heard: Any = _Heard(sys.stdout)
        with redirect_stdout(heard):
            yield _cpus()
    finally:
        ray.shutdown()
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the line that Ray's own code writes to stderr about the level of its log."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Heard:
    """A stream without what Ray's own thread prints: the state of a lost machine, in dozens of lines."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name == "ray_listen_error_messages":
            return len(text)
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _cpus() -> int:
    import ray

    return int(ray.cluster_resources().get("CPU", 0))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
