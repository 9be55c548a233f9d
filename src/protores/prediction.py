"""Image files that nobody has labelled: scored and outlined by a bundle or a run, a line each, as they come.

Files are read and pictures written in threads around the network, so that it need not wait for either. An image's line
is appended once its pictures are there: what was cut off goes on behind the last line.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
from protores.runtime.result import Result
from protores.runtime.stream import Inspected, Stream
from protores.runtime.view import Tiling

NAME = "predictions.jsonl"


@dataclass(frozen=True)
class Prediction:
    """A line of predictions.jsonl: what was found in one image, or why it could not be read.

    sha256: of the file, None where it cannot be opened. model: Inspector.digest. error: None, or one line; then there
    is nothing else. product: of several that the model knows, the one that it takes the image for. size: height and
    width. map, overlay: the pictures beside the line, None where none were asked for.
    """

    path: Path
    model: str
    sha256: str | None
    error: str | None = None
    score: float | None = None
    verdict: str | None = None
    product: str | None = None
    size: tuple[int, int] | None = None
    regions: tuple[Region, ...] = ()
    map: str | None = None
    overlay: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Stable JSON: keys are only ever added."""
        head = {"path": str(self.path), "model": self.model, "sha256": self.sha256}
        if self.error is not None:
            return head | {"error": self.error}
        product = {} if self.product is None else {"product": self.product}
        return head | product | {
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


class _Work:
    """What is done with each file: its bytes read, its pictures written, its line made."""

    def __init__(self, inspector: Inspector, into: Path, pictures: bool):
        self.stream, self.into, self.pictures = Stream(inspector, usable_cores() + 1), into, pictures

    @property
    def model(self) -> str:
        return self.stream.model

    def over(self, names: dict[Path, str]) -> Iterator[Prediction]:
        return self.stream.over(names.items(), self._read, self._finish)

    def _read(self, item: tuple[Path, str]) -> tuple[bytes, Path]:
        return read_bytes(item[0]), item[0]

    def _finish(self, file: Inspected[tuple[Path, str]]) -> Prediction:
        path, name = file.item
        if file.prepared is None or file.result is None:
            return Prediction(path, self.model, file.sha256, file.error)
        names: tuple[str, str] | tuple[None, None] = (None, None)
        if self.pictures:
            names = f"{name}_map.png", f"{name}_overlay.png"
            (self.into / name).parent.mkdir(parents=True, exist_ok=True)
            _save(self.into / names[0], np.round(file.result.network_map * 65535).astype(np.uint16))
            _save(self.into / names[1], _overlay(file.prepared.image, file.result)[..., ::-1])
        return Prediction(
            path,
            self.model,
            file.sha256,
            score=file.result.score,
            verdict=None if file.result.verdict is None else file.result.verdict.outcome,
            product=file.result.product,
            size=file.result.size,
            regions=file.result.regions,
            map=names[0],
            overlay=names[1],
        )


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
