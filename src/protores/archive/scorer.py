"""What a worker does: one shard after the other, from the source through the network into its Parquet file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from protores.archive import shard as shards
from protores.archive.manifest import Manifest
from protores.archive.shard import Counts, Row
from protores.archive.source import Source
from protores.errors import ArchiveError, BundleError, ProtoresError
from protores.files import writing
from protores.runtime.inspector import Inspector
from protores.runtime.stream import Inspected, Stream

ATTEMPTS = 4
"""How often a shard is begun: images that end their worker would do so for ever."""


@dataclass(frozen=True)
class Task:
    """What a worker is told. bundle, out: as each machine sees them. url: the source's address. threads: of each."""

    bundle: Path
    out: Path
    url: str
    runtime: str | None
    threads: int


class ShardScorer:
    """Scores the shards of an archive's folder."""

    def __init__(self, task: Task):
        """Raises a ProtoresError where bundle, folder or source cannot be used, or do not belong together."""
        manifest = Manifest.read(task.out)
        if manifest is None:
            raise ArchiveError(f"{task.out} has no manifest on this machine; give an --out that all machines see")
        self.manifest, self.source = manifest, Source(task.url)
        inspector = Inspector(task.bundle, task.runtime, task.threads)
        if inspector.digest != manifest.model:
            raise BundleError(f"{task.bundle} was changed while it scored; put it back, or begin anew in another --out")
        self.stream = Stream(inspector, task.threads + 1)
        cv2.setNumThreads(task.threads)

    def score(self, shard: int) -> Counts:
        """Scores a shard and puts its file in its place. Raises a ProtoresError where that cannot be."""
        paths = self.manifest.paths(shard)
        with writing(self.manifest.folder, "free some space; the same command goes on"):
            if shards.begin(self.manifest, shard) > ATTEMPTS:
                raise ArchiveError(
                    f"{ATTEMPTS} workers died over {_text(paths[0])} to {_text(paths[-1])}; take fewer --workers if "
                    "memory is short, or move the image that does it; the same command goes on"
                )
            rows = list(self.stream.over(paths, self._read, self._row))
            counts = shards.write(self.manifest, shard, rows)
            shards.end(self.manifest, shard)
            return counts

    def _read(self, path: str) -> tuple[bytes, str]:
        return self.source.read(path), path

    def _row(self, file: Inspected[str]) -> Row:
        found = file.result
        return {
            "path": _text(file.item),
            "sha256": file.sha256,
            "product": None if found is None else found.product,
            "verdict": None if found is None or found.verdict is None else found.verdict.outcome,
            "score": None if found is None else found.score,
            "regions": None if found is None else [region.to_dict() for region in found.regions],
            "model": self.stream.model,
            "error": None if file.error is None else _text(file.error),
        }


class Worker:
    """A ShardScorer in an actor of Ray Data, made with its first shard. What fails comes back as a row.

    Ray may run a shard twice, where a machine was lost or seemed so: that writes the same file again.
    """

    def __init__(self, task: Task):
        self.task = task
        self.scorer: ShardScorer | None = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """batch: `shard`, one number. Gives `counts`, as of Counts, or `failure`, one line."""
        number = int(batch["shard"][0])
        try:
            self.scorer = self.scorer or ShardScorer(self.task)
            counts, failure = self.scorer.score(number), ""
        except ProtoresError as error:
            counts, failure = Counts(), str(error)
        return {"counts": [counts.to_list()], "failure": [failure]}


def _text(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 as \\xNN."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
