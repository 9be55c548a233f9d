"""Image files that nobody has labelled: scored and outlined by a bundle or a run, a line each, as they come.

Files are read and pictures written in threads around the network, so that it need not wait for either. An image's line
is appended once its pictures are there: what was cut off goes on behind the last line.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.folders import find_images
from protores.data.image import read_bytes
from protores.decision.regions import Region
from protores.errors import UnreadableImage
from protores.files import write_whole, writing
from protores.inspection import open_inspector
from protores.journal import Journal
from protores.machine import usable_cores
from protores.progress import Progress
from protores.report import heatmap
from protores.runtime.inspector import Inspector
from protores.runtime.procedure import Prepared
from protores.runtime.result import Result
from protores.runtime.view import Tiling

NAME = "predictions.jsonl"
BATCH = 4
"""Images that go through the network at once; it is hardly faster with more, and fewer are lost when it is cut off."""
AHEAD = 2 * BATCH
"""Images that are read before the network asks for them, and those whose pictures it has not to wait for."""
_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


@dataclass(frozen=True)
class Prediction:
    """A line of predictions.jsonl: what was found in one image, or why it could not be read.

    sha256: of the file, None where it cannot be opened. model: Inspector.digest. error: None, or one line; then there
    is nothing else. size: height and width. map, overlay: the pictures beside the line, None where none were asked for.
    """

    path: Path
    model: str
    sha256: str | None
    error: str | None = None
    score: float | None = None
    verdict: str | None = None
    size: tuple[int, int] | None = None
    regions: tuple[Region, ...] = ()
    map: str | None = None
    overlay: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON: keys are only ever added."""
        head = {"path": str(self.path), "model": self.model, "sha256": self.sha256}
        if self.error is not None:
            return head | {"error": self.error}
        return head | {
            "score": self.score,
            "verdict": self.verdict,
            "size": self.size,
            "regions": [region.to_dict() for region in self.regions],
            "map": self.map,
            "overlay": self.overlay,
        }

    @classmethod
    def from_dict(cls, line: dict[str, Any]) -> Self:
        """What to_dict gave."""
        regions = tuple(Region.from_dict(region) for region in line.get("regions", ()))
        size = None if line.get("size") is None else (line["size"][0], line["size"][1])
        return cls(**line | {"path": Path(line["path"]), "regions": regions, "size": size})


def predict(
    source: Path,
    images: Sequence[str | Path],
    into: Path,
    progress: Progress | None = None,
    runtime: str | None = None,
    threads: int | None = None,
    tiling: Tiling | None = None,
    pictures: bool = True,
) -> list[Prediction]:
    """Scores image files, all images in folders, or what patterns match, with a bundle or a run.

    Writes a line per image to predictions.jsonl in `into` and, with pictures, NAME_map.png (the map at the
    network's size, 16 bit, 65535 = 1) and NAME_overlay.png (the heat map over the image, its regions outlined). What an
    earlier call wrote there for the same content with the same model is kept as it is. Returns this call's images in
    order; one that cannot be read has an error.
    """
    progress = progress or Progress()
    named = find_images(images)
    inspector = open_inspector(source, runtime, threads, tiling)
    with writing(into):
        into.mkdir(parents=True, exist_ok=True)
        work = _Work(inspector, into, pictures)
        journal = Journal(into / NAME, lambda line: _is_kept(line, named, work))
        known = {Path(line["path"]): Prediction.from_dict(line) for line in journal.lines}
        names = _free_names({path: name for path, name in named.items() if path not in known}, known.values())
        began, todo = time.monotonic(), len(names)
        for done, prediction in enumerate(work.over(names), start=1):
            journal.append(prediction.to_dict())
            known[prediction.path] = prediction
            rate = done / (time.monotonic() - began)
            progress.track("inspecting", len(named) - todo + done, len(named), f"{rate:.1f} images/s")
    return [known[path] for path in named]


@dataclass(frozen=True)
class _Read:
    """A file on its way: read and prepared, or the reason why not."""

    path: Path
    name: str
    sha256: str | None
    prepared: Prepared | None
    error: str | None


class _Work:
    """Reading, the network and writing as one stream, in order."""

    def __init__(self, inspector: Inspector, into: Path, pictures: bool):
        self.engine, self.procedure, self.model = inspector.engine, inspector.procedure, inspector.digest
        self.into, self.pictures = into, pictures

    def over(self, names: dict[Path, str]) -> Iterator[Prediction]:
        pool = ThreadPoolExecutor(usable_cores() + 1, "images")
        try:
            read = _ahead(pool, self._read, names.items())
            yield from _ahead(pool, self._finish, self._judge(read))
        finally:
            pool.shutdown(cancel_futures=True)

    def _read(self, item: tuple[Path, str]) -> _Read:
        path, name = item
        sha256 = prepared = error = None
        try:
            data = read_bytes(path)
            sha256 = hashlib.sha256(data).hexdigest()
            prepared = self.procedure.prepare(data, path)
        except UnreadableImage as failure:
            error = str(failure)
        return _Read(path, name, sha256, prepared, error)

    def _judge(self, read: Iterator[_Read]) -> Iterator[tuple[_Read, NDArray[np.float32] | None]]:
        while batch := list(islice(read, BATCH)):
            prepared = [file.prepared for file in batch if file.prepared is not None]
            maps = iter(self.procedure.run(self.engine, prepared) if prepared else ())
            yield from ((file, None if file.prepared is None else next(maps)) for file in batch)

    def _finish(self, item: tuple[_Read, NDArray[np.float32] | None]) -> Prediction:
        file, anomaly_map = item
        if file.prepared is None or anomaly_map is None:
            return Prediction(file.path, self.model, file.sha256, file.error)
        result = self.procedure.finish(file.prepared.size, anomaly_map)
        names: tuple[str, str] | tuple[None, None] = (None, None)
        if self.pictures:
            names = f"{file.name}_map.png", f"{file.name}_overlay.png"
            (self.into / file.name).parent.mkdir(parents=True, exist_ok=True)
            _save(self.into / names[0], np.round(result.network_map * 65535).astype(np.uint16))
            _save(self.into / names[1], _overlay(file.prepared.image, result)[..., ::-1])
        return Prediction(
            file.path,
            self.model,
            file.sha256,
            score=result.score,
            verdict=None if result.verdict is None else result.verdict.outcome,
            size=result.size,
            regions=result.regions,
            map=names[0],
            overlay=names[1],
        )


def _ahead(pool: ThreadPoolExecutor, work: Callable[[_Item], _Done], items: Iterable[_Item]) -> Iterator[_Done]:
    """work(item) for each item in order, begun for up to AHEAD of them before they are asked for."""
    begun: deque[Future[_Done]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) > AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _is_kept(line: dict[str, Any], named: dict[Path, str], work: _Work) -> bool:
    """Lines of this model, with their pictures, whose file is none of these or is one that has not changed."""
    try:
        known = Prediction.from_dict(line)
    except (KeyError, TypeError, ValueError):
        return False
    if known.model != work.model or known.error is not None:
        return False
    pictures = [work.into / name for name in (known.map, known.overlay) if name is not None]
    if work.pictures and not pictures or not all(picture.is_file() for picture in pictures):
        return False
    if known.path not in named:
        return True
    try:
        return known.sha256 == hashlib.sha256(read_bytes(known.path)).hexdigest()
    except UnreadableImage:
        return False


def _free_names(named: dict[Path, str], known: Iterable[Prediction]) -> dict[Path, str]:
    """The names, with a number behind those that are taken, in any letter case."""
    taken = {prediction.map.removesuffix("_map.png").lower() for prediction in known if prediction.map}
    free: dict[Path, str] = {}
    for path, name in named.items():
        number, candidate = 1, name
        while candidate.lower() in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate.lower())
        free[path] = candidate
    return free


def _overlay(image: NDArray[np.uint8], result: Result) -> NDArray[np.uint8]:
    """The heat map over its image, with a line around each region that counts."""
    shown = heatmap.overlay(image, result.map)
    if not result.regions:
        return shown
    inside = np.zeros(result.size, np.uint8)
    for region in result.regions:
        cv2.fillPoly(inside, [np.array(region.polygon, np.int32)], 1)
    return heatmap.contours(shown, inside, heatmap.FOUND)


def _save(path: Path, picture: NDArray[Any]) -> None:
    write_whole(path, cv2.imencode(".png", picture)[1].tobytes())
