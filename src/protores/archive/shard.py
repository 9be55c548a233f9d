"""A shard's Parquet file: a row an image, there whole or not at all.

Its name is its number, and its metadata says of which model and manifest it is: whoever writes it again, after a crash
or beside a worker that was taken for dead, writes the same.
"""

import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from protores.archive.manifest import Manifest
from protores.decision.verdict import OUTCOMES

REGION = pa.struct(
    [
        ("box", pa.list_(pa.int32(), 4)),
        ("area", pa.int64()),
        ("area_mm2", pa.float64()),
        ("peak", pa.float64()),
        ("mean", pa.float64()),
        ("polygon", pa.list_(pa.list_(pa.int32(), 2))),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("product", pa.string()),
        pa.field("verdict", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("regions", pa.list_(REGION)),
        pa.field("model", pa.string(), nullable=False),
        pa.field("error", pa.string()),
    ]
)
"""path: below the source. product: of a bundle that knows several. regions: as in predictions.jsonl
(decision/regions.py), null where there is an error."""
PREFIX = "shard-"
_PART = ".part-"
Row = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """Images by what became of them. unjudged: scored by a bundle without thresholds."""

    good: int = 0
    look_again: int = 0
    bad: int = 0
    unjudged: int = 0
    unreadable: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        found = dict.fromkeys((*OUTCOMES, "unjudged", "unreadable"), 0)
        for row in rows:
            found["unreadable" if row["error"] is not None else row["verdict"] or "unjudged"] += 1
        return cls(**{name.replace("-", "_"): count for name, count in found.items()})

    def to_list(self) -> list[int]:
        """What the constructor takes."""
        return list(asdict(self).values())

    @property
    def images(self) -> int:
        return sum(asdict(self).values())

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: count + getattr(other, name) for name, count in asdict(self).items()})


def path_of(manifest: Manifest, shard: int) -> Path:
    return manifest.folder / f"{PREFIX}{shard:06d}.parquet"


def write(manifest: Manifest, shard: int, rows: list[Row]) -> Counts:
    """Puts the file in its place. Raises OSError; then nothing is left behind."""
    counts, sink = Counts.of(rows), pa.BufferOutputStream()
    metadata = _identity(manifest, shard) | {b"protores.source": manifest.source.encode("utf-8", "backslashreplace")}
    metadata |= {f"protores.count.{name}".encode(): str(count).encode() for name, count in asdict(counts).items()}
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA.with_metadata(metadata)), sink, compression="zstd")
    path = path_of(manifest, shard)
    part = path.with_name(f"{_PART}{path.name}-{uuid.uuid4().hex}")  # of its own: another may write the same shard
    try:
        with part.open("xb") as file:
            file.write(sink.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return counts


def read_counts(manifest: Manifest, shard: int) -> Counts | None:
    """Of a shard that is done; None where its file is missing, damaged, or of another model or manifest."""
    try:
        found = pq.read_metadata(path_of(manifest, shard))
        metadata = found.metadata or {}
        if any(metadata.get(key) != value for key, value in _identity(manifest, shard).items()):
            return None
        counts = Counts(**{name: int(metadata[f"protores.count.{name}".encode()]) for name in asdict(Counts())})
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None
    return counts if counts.images == found.num_rows == manifest.size(shard) else None


def begin(manifest: Manifest, shard: int) -> int:
    """Notes that a shard is begun, and says how often it was since the command started. Raises OSError."""
    with _begun(manifest, shard).open("ab") as file:
        file.write(b".")
        return file.tell()


def end(manifest: Manifest, shard: int) -> None:
    """It came to its end."""
    _begun(manifest, shard).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Takes away what a kill left: files that never got their name. Raises OSError."""
    for path in folder.glob(f"{_PART}*"):
        path.unlink(missing_ok=True)


def _begun(manifest: Manifest, shard: int) -> Path:
    return manifest.folder / f"{_PART}begun-{shard:06d}"


def _identity(manifest: Manifest, shard: int) -> dict[bytes, bytes]:
    values = {"model": manifest.model, "manifest": manifest.digest, "shard": str(shard)}
    return {f"protores.{key}".encode(): value.encode() for key, value in values.items()}
