"""From uploaded files to durable verdicts, those of concurrent requests through the network together.

Files are decoded by a few threads; one thread owns the engine and takes all that is ready, up to a batch, whenever the
engine is free; what it found is outlined and written by threads again, and one thread commits all verdicts that are
there in one transaction. So nothing waits for a batch to fill, and batches grow with the load.
"""

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from secrets import token_hex
from threading import Lock, Thread

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.container import Damaged
from protores.data.dimensions import pixel_count
from protores.errors import UnreadableImage
from protores.machine import usable_cores
from protores.runtime.procedure import BATCH, Views
from protores.runtime.result import Result
from protores.station.answers import failure
from protores.station.limits import MEGA
from protores.station.live import Current, LiveModel
from protores.station.metrics import Metrics
from protores.station.queue import Queue
from protores.station.records import Record, now
from protores.station.refusal import Refusal
from protores.station.store import Entry, Store

LARGE = 16 * MEGA
"""Pixels from which on images are decoded one at a time: decoding takes up to 30 bytes a pixel."""


@dataclass(frozen=True, eq=False)
class Upload:
    """A file as a client sent it. name: to be shown only."""

    name: str
    content: bytes


@dataclass(eq=False)
class _Job:
    """An image on its way."""

    upload: Upload
    future: Future[Record]
    began: float = field(default_factory=time.monotonic)
    sha256: str = ""
    current: Current | None = None
    views: Views | None = None
    entry: Entry | None = None


class Batcher:
    """The threads of a station. submit() gives a future of the Record, or of the Refusal that it comes to."""

    def __init__(self, model: LiveModel, store: Store, queue: Queue, metrics: Metrics):
        self.model, self.store, self.queue, self.metrics = model, store, queue, metrics
        self._large = Lock()
        self._ready: SimpleQueue[_Job | None] = SimpleQueue()
        self._decided: SimpleQueue[_Job | None] = SimpleQueue()
        self._decoders = ThreadPoolExecutor(usable_cores(), "decode")
        self._finishers = ThreadPoolExecutor(usable_cores(), "finish")
        self._threads = [
            Thread(target=work, name=name, daemon=True)
            for work, name in ((self._run_engine, "engine"), (self._commit, "commit"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def ready(self) -> int:
        """Images that wait for the engine."""
        return self._ready.qsize()

    def submit(self, upload: Upload) -> Future[Record]:
        """Begins to inspect a file; its place in the queue is the caller's."""
        future: Future[Record] = Future()
        future.set_running_or_notify_cancel()
        self._decoders.submit(self._guarded, self._decode, _Job(upload, future))
        return future

    def close(self) -> None:
        """Ends once all that was submitted is done."""
        self._decoders.shutdown()
        self._ready.put(None)
        self._threads[0].join()
        self._finishers.shutdown()
        self._decided.put(None)
        self._threads[1].join()

    def _decode(self, job: _Job) -> None:
        content = job.upload.content
        job.sha256 = hashlib.sha256(content).hexdigest()
        pixels = self._pixels(content)
        current = self.model.current()
        try:
            if pixels >= LARGE:
                with self._large:
                    prepared = current.procedure.prepare(content, "image")
            else:
                prepared = current.procedure.prepare(content, "image")
        except (UnreadableImage, cv2.error, MemoryError) as error:
            raise _unreadable(error) from error
        job.current, job.views = current, Views(prepared.size, prepared.views)
        self._ready.put(job)

    def _pixels(self, content: bytes) -> int:
        """Raises Refusal for what has too many, by its header, or is no image."""
        try:
            pixels = pixel_count(content)
        except Damaged as error:
            raise _unreadable(error) from error
        if pixels > self.queue.limits.pixels:
            raise Refusal(
                413,
                f"the image has {pixels / MEGA:.1f} megapixels, more than the {self.queue.limits.megapixels:g} "
                "that are taken; shrink it, or start the station with a larger --max-megapixels",
            )
        return pixels

    def _run_engine(self) -> None:
        while (job := self._ready.get()) is not None:
            jobs = [job, *self._waiting(self._ready, BATCH - 1)]
            for current, group in groupby(jobs, lambda one: one.current):
                batch = list(group)
                try:
                    self._infer(current, batch)
                except Exception as error:  # a runtime raises anything
                    for one in batch:
                        self._fail(one, error)

    def _infer(self, current: Current | None, jobs: list[_Job]) -> None:
        assert current is not None
        began = time.perf_counter()
        maps = current.procedure.run(self.model.engine, [job.views for job in jobs if job.views is not None])
        seconds = time.perf_counter() - began
        self.queue.done(len(jobs), seconds)
        self.metrics.batch.observe(len(jobs))
        self.metrics.engine_seconds.observe(seconds)
        for job, anomaly_map in zip(jobs, maps, strict=True):
            self._finishers.submit(self._guarded, self._finish, job, anomaly_map)

    def _finish(self, job: _Job, anomaly_map: NDArray[np.float32]) -> None:
        assert job.current is not None
        assert job.views is not None
        decision = job.current.procedure.decision
        result = job.current.procedure.finish(job.views.size, anomaly_map)
        record = Record(
            id=token_hex(8),
            time=now(),
            name=job.upload.name,
            sha256=job.sha256,
            model=job.current.digest,
            score=result.score,
            verdict=None if result.verdict is None else result.verdict.outcome,
            good_below=decision.good_below,
            bad_above=decision.bad_above,
            size=result.size,
            regions=result.regions,
            seconds=round(time.monotonic() - job.began, 4),
        )
        job.entry = Entry(record, _map_file(result))
        self.store.put_image(record.id, record.time, job.upload.content)
        self._decided.put(job)

    def _commit(self) -> None:
        while (job := self._decided.get()) is not None:
            jobs = [job, *self._waiting(self._decided, self.queue.limits.queue)]
            entries = [job.entry for job in jobs if job.entry is not None]
            try:
                self.store.add(entries)
            except Exception as error:
                for entry in entries:
                    self.store.drop_image(entry.record.id, entry.record.time)
                for job in jobs:
                    self._fail(job, error)
                continue
            for job, entry in zip(jobs, entries, strict=True):
                self.metrics.images.labels(entry.record.verdict or "none").inc()
                self.metrics.seconds.observe(time.monotonic() - job.began)
                job.future.set_result(entry.record)

    def _guarded(self, work: Callable[..., None], job: _Job, *rest: NDArray[np.float32]) -> None:
        try:
            work(job, *rest)
        except Exception as error:
            self._fail(job, error)

    def _fail(self, job: _Job, error: Exception) -> None:
        refusal = error if isinstance(error, Refusal) else failure(error)
        if not job.future.done():
            self.metrics.images.labels(OUTCOMES.get(refusal.status, "failed")).inc()
            job.future.set_exception(refusal)

    @staticmethod
    def _waiting(jobs: "SimpleQueue[_Job | None]", most: int) -> list[_Job]:
        """What is there besides, up to so many."""
        found: list[_Job] = []
        while len(found) < most:
            try:
                job = jobs.get_nowait()
            except Empty:
                break
            if job is None:
                jobs.put(None)
                break
            found.append(job)
        return found


OUTCOMES = {413: "too-large", 422: "unreadable"}


def _unreadable(error: Exception) -> Refusal:
    known = isinstance(error, (Damaged, UnreadableImage))
    reason = str(error).removeprefix("image: ").partition(";")[0] if known else "damaged, or too large to be unpacked"
    return Refusal(
        422, f"the image cannot be read ({reason}); send a whole PNG, JPEG, BMP, TIFF, WebP, PGM or PPM file"
    )


def _map_file(result: Result) -> bytes:
    """The part of the map that shows the image, as PNG: 8 bit, 255 = 1."""
    top, left, height, width = result.box
    inside = result.network_map[top : top + height, left : left + width]
    return cv2.imencode(".png", np.round(inside * 255).astype(np.uint8))[1].tobytes()
