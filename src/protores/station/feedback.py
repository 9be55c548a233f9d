"""Feedback as a plain data folder, which training takes: good/, bad/KIND/, masks/KIND/, and feedback.csv."""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protores.data.container import JPEG, PNG, TIFF
from protores.files import whole_folder, writing
from protores.station.names import file_stem, shown
from protores.station.records import Record
from protores.station.store import Store

TABLE = "feedback.csv"
HEADER = ("id", "time", "name", "label", "kind", "score", "verdict", "model", "file")


@dataclass(frozen=True)
class Exported:
    """good, bad: images of each label; masked: bad ones with a mask."""

    good: int
    bad: int
    masked: int


def export_feedback(store: Path, out: Path) -> Exported:
    """Writes the feedback in a store as a data folder; a station may be running on it.

    Raises StationError where there is no store, RunError where the folder cannot be written or holds something.
    """
    written: Counter[str] = Counter()
    with Store(store, serving=False) as opened, writing(out), whole_folder(out) as home:
        for name, content in files(opened):
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written[name.partition("/")[0]] += 1
    return Exported(written["good"], written["bad"], written["masks"])


def files(store: Store) -> Iterator[tuple[str, bytes]]:
    """The folder's files, one at a time: path below it, with /, and content."""
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(HEADER)
    for record in store.judged():
        feedback = record.feedback
        assert feedback is not None
        content = store.image(record)
        stem = "_".join(filter(None, (file_stem(record.name), record.id)))
        folder = feedback.label if feedback.kind is None else f"{feedback.label}/{feedback.kind}"
        name = f"{folder}/{stem}{_ending(content)}"
        yield name, content
        mask = store.mask(record.id)
        if mask is not None:
            yield f"{folder.replace(feedback.label, 'masks', 1)}/{stem}.png", mask
        rows.writerow(_row(record, name))
    yield TABLE, table.getvalue().encode()


def zipped(store: Store) -> Iterator[bytes]:
    """The folder as a ZIP file, piece by piece, so that it need not fit into memory."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # images hardly shrink
        for name, content in files(store):
            archive.writestr(name, content)
            yield pipe.taken()
    yield pipe.taken()


class _Pipe(io.RawIOBase):
    """Something to write to that is read from piece by piece."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        content = bytes(self._written)
        self._written.clear()
        return content


def _row(record: Record, file: str) -> tuple[object, ...]:
    assert record.feedback is not None
    # A spreadsheet takes a name that begins so for a formula.
    name = record.name.lstrip("=+-@\t\r ")
    kind = record.feedback.kind or ""
    return (record.id, record.time, shown(name), record.feedback.label, kind, record.score, record.verdict or "",
            record.model, file)  # fmt: skip


def _ending(content: bytes) -> str:
    if content.startswith(PNG):
        return ".png"
    if content.startswith(JPEG):
        return ".jpg"
    if content.startswith(TIFF):
        return ".tif"
    if content.startswith(b"RIFF"):
        return ".webp"
    if content.startswith(b"BM"):
        return ".bmp"
    return ".ppm" if content.startswith((b"P3", b"P6")) else ".pgm"
