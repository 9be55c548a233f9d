"""Many images as a stream: read and decoded ahead of the network, which need not wait, and finished behind it.

Batches are made in the order of what is asked for, so that the same images in the same order give the same bits.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from protores.errors import UnreadableImage
from protores.runtime.inspector import Inspector
from protores.runtime.procedure import Prepared
from protores.runtime.result import Result

BATCH = 4
"""Images that go through the network at once; it is hardly faster with more, and fewer are lost when it is cut off."""
AHEAD = 2 * BATCH
"""Images that are read before the network asks for them, and those that it has not to wait for behind it."""
Item = TypeVar("Item")
Done = TypeVar("Done")
_Given = TypeVar("_Given")


@dataclass(frozen=True)
class Inspected(Generic[Item]):
    """An image file behind the network: what was found, or in one line why it could not be read.

    sha256: of the file, None where it cannot be opened. prepared, result: None where there is an error.
    """

    item: Item
    sha256: str | None
    prepared: Prepared | None
    result: Result | None
    error: str | None


@dataclass(frozen=True)
class _Read(Generic[Item]):
    item: Item
    sha256: str | None
    prepared: Prepared | None
    error: str | None


class Stream:
    """An inspector over many image files. It keeps to the thresholds and masks that were there when it began.

    threads: that read, decode and finish beside the network.
    """

    def __init__(self, inspector: Inspector, threads: int):
        self.engine, self.procedure, self.model = inspector.engine, inspector.procedure, inspector.digest
        self.threads = threads

    def over(
        self,
        items: Iterable[Item],
        read: Callable[[Item], tuple[bytes, str | Path]],
        finish: Callable[[Inspected[Item]], Done],
    ) -> Iterator[Done]:
        """finish(...) of each item, in order. read: gives a file's bytes and the name that errors tell.

        Both run in threads. UnreadableImage, from read or from decoding, becomes an error; any other ends the stream.
        """
        pool = ThreadPoolExecutor(self.threads, "images")
        try:
            files = _ahead(pool, lambda item: self._read(item, read), items)
            yield from _ahead(pool, lambda judged: finish(self._finish(*judged)), self._judge(files))
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, item: Item, read: Callable[[Item], tuple[bytes, str | Path]]) -> _Read[Item]:
        sha256 = prepared = error = None
        try:
            data, name = read(item)
            sha256 = hashlib.sha256(data).hexdigest()
            prepared = self.procedure.prepare(data, name)
        except UnreadableImage as failure:
            error = str(failure)
        return _Read(item, sha256, prepared, error)

    def _judge(self, files: Iterator[_Read[Item]]) -> Iterator[tuple[_Read[Item], NDArray[np.float32] | None]]:
        while batch := list(islice(files, BATCH)):
            prepared = [file.prepared for file in batch if file.prepared is not None]
            maps = iter(self.procedure.run(self.engine, prepared) if prepared else ())
            yield from ((file, None if file.prepared is None else next(maps)) for file in batch)

    def _finish(self, file: _Read[Item], anomaly_map: NDArray[np.float32] | None) -> Inspected[Item]:
        result = None
        if file.prepared is not None and anomaly_map is not None:
            result = self.procedure.finish(file.prepared.size, anomaly_map)
        return Inspected(file.item, file.sha256, file.prepared, result, file.error)


def _ahead(pool: ThreadPoolExecutor, work: Callable[[_Given], Done], items: Iterable[_Given]) -> Iterator[Done]:
    """work(item) for each item in order, begun for up to AHEAD of them before they are asked for."""
    begun: deque[Future[Done]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) > AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
