"""Scores an archive of images on Ray: shards of a listing, each a Parquet file that is there whole or not at all.

Only the numbers of shards go through Ray's object store: a worker reads its images from the source, has them through
the network and writes its rows itself. So memory does not grow with the archive, a crash costs the shards at work, and
the same command goes on with what is missing.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.data
from ray.exceptions import RayError, RayTaskError, UserCodeException

from protores.archive import shard as shards
from protores.archive.manifest import FOLDER, SHARD_SIZE, Manifest
from protores.archive.scorer import Task, Worker
from protores.archive.shard import Counts
from protores.archive.source import Source
from protores.cluster import connected
from protores.errors import ArchiveError, ClusterError, DataError
from protores.files import writing
from protores.lock import lock
from protores.machine import usable_cores
from protores.progress import Progress
from protores.runtime.inspector import digest_of

LOCK = "_lock"
WINDOW = 10_000
"""Shards that Ray Data plans at a time: its plan grows with them."""
_FOOTERS = 16
"""Threads that look at shards that are there already."""


@dataclass(frozen=True)
class Scored:
    """An archive that is scored to its end. counts: of all of it; before: images in it that earlier calls scored."""

    out: Path
    counts: Counts
    before: int
    seconds: float

    def lines(self) -> list[str]:
        counts, new = self.counts, self.counts.images - self.before
        told = f"{counts.good:,} good, {counts.look_again:,} to look at again, {counts.bad:,} bad"
        if counts.unjudged:
            told += f", {counts.unjudged:,} without thresholds (protores calibrate sets them)"
        rate = f"{new:,} in {self.seconds:.0f} s, {new / max(self.seconds, 1e-9):.1f} images/s"
        return [f"images    {counts.images:,}: {told}", f"this call {rate}", f"all in    {self.out}"]


def score(
    bundle: Path,
    source: str,
    out: Path,
    address: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    shard_size: int | None = None,
    runtime: str | None = None,
    progress: Progress | None = None,
) -> Scored:
    """Scores the images below a folder or URL with a bundle, into Parquet files in `out` (docs/scale.md).

    address: of a Ray cluster; None: this machine. Bundle, out and source are to be the same to all of its machines.
    workers: processes, each with the network in memory; None: as many as the CPUs give. threads: of each. shard_size:
    images per file; None: 1000, or as it was begun. Images listed once make up the archive: `out` belongs to them and
    to the bundle as it is; called again, what is there stays. Raises a ProtoresError where nothing, or nothing more,
    can be done; an image that cannot be read is a row with an error.
    """
    progress, began = progress or Progress(), time.monotonic()
    opened, out = Source(source), out.absolute()
    if not opened.is_shared:
        raise DataError(f"{opened.url} is in this process's memory, which workers do not see; write it to a folder")
    task, model = Task(bundle.absolute(), out, opened.address, runtime, threads), digest_of(bundle)
    with _folder(out):
        manifest = _manifest(out, opened, model, shard_size, progress)
        done, waiting = state(manifest, progress)
        before = done.images
        progress.track("scoring", before, manifest.images)
        for counts in _run(task, waiting, address, workers) if waiting else ():
            done += counts
            rate = (done.images - before) / (time.monotonic() - began)
            progress.track("scoring", done.images, manifest.images, f"{rate:.1f} images/s")
    return Scored(out, done, before, time.monotonic() - began)


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The archive's folder, for this process alone, without what a kill left there."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        if Manifest.read(out) is None and any(path.name not in (LOCK, f"{FOLDER}.part") for path in out.iterdir()):
            raise ArchiveError(f"{out} holds something else than an archive; take another --out")
        refusal = ArchiveError(f"{out} is being written by another process; wait for it, or take another --out")
        with closing(lock(out / LOCK, refusal)):
            shards.sweep(out)
            try:
                yield
            finally:
                shards.sweep(out)


def _manifest(out: Path, source: Source, model: str, shard_size: int | None, progress: Progress) -> Manifest:
    """The folder's, or a new one. Raises ArchiveError where it belongs to other work."""
    manifest = Manifest.read(out)
    if manifest is None:
        return Manifest.write(out, source.url, model, shard_size or SHARD_SIZE, source.paths(), progress)
    if manifest.source != source.url:
        raise ArchiveError(f"{out} belongs to {manifest.source}; take another --out")
    if manifest.model != model:
        raise ArchiveError(f"{out} belongs to another bundle, or to other thresholds; take another --out")
    if shard_size not in (None, manifest.shard_size):
        raise ArchiveError(f"{out} was begun with --shard-size {manifest.shard_size}; leave it out")
    return manifest


def state(manifest: Manifest, progress: Progress) -> tuple[Counts, list[int]]:
    """What is done, and the numbers of the shards that are not."""
    done, waiting = Counts(), []
    with ThreadPoolExecutor(_FOOTERS) as pool:
        counted = pool.map(lambda shard: shards.read_counts(manifest, shard), range(manifest.shards))
        for shard, counts in enumerate(counted):
            if counts is None:
                waiting.append(shard)
            else:
                done += counts
    if done.images:
        progress.note(f"{done.images:,} of {manifest.images:,} images are done")
    return done, waiting


def _run(task: Task, waiting: Sequence[int], address: str | None, workers: int | None) -> Iterator[Counts]:
    """The shards' counts, as they are done."""
    asked = None if workers is None else max(usable_cores(), workers * task.threads)
    with connected(address, asked) as cpus:
        most = cpus // task.threads
        if (workers or 1) > most:
            raise ArchiveError(
                f"{workers or 1} workers of {task.threads} threads are more than the {cpus} CPUs of the cluster; "
                "take fewer --workers or --threads"
            )
        for start in range(0, len(waiting), WINDOW):
            yield from _window(task, waiting[start : start + WINDOW], workers or most)


def _window(task: Task, numbers: Sequence[int], workers: int) -> Iterator[Counts]:
    try:
        for row in planned(Worker, (task,), numbers, workers, task.threads).iter_rows():
            if row["failure"]:
                raise ArchiveError(row["failure"])
            yield Counts(*map(int, row["counts"]))
    except (RayTaskError, UserCodeException):  # a mistake of ours
        raise
    except RayError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ClusterError(f"the Ray cluster failed ({reason}); the same command goes on") from error


def planned(
    worker: type, arguments: tuple[Any, ...], numbers: Sequence[int], workers: int, threads: int
) -> ray.data.Dataset:
    """A dataset whose rows are what a pool of actors gives for each shard, one after the other."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    dataset = ray.data.from_items([{"shard": number} for number in numbers], override_num_blocks=len(numbers))
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    return dataset.map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(numbers)), max_tasks_in_flight_per_actor=2),
        num_cpus=threads,
    )
