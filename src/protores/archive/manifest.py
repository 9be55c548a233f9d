"""What an archive's folder is about: the images, listed once, in shards. Neither listing nor reading holds them all.

`_manifest/` has Parquet files of paths, SHARDS_PER_FILE shards in each, a row group a shard; and manifest.json, which
says whose they are. It comes into being as a whole. What is added to the source later is another archive's.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from protores.errors import ArchiveError, DataError
from protores.files import whole_folder, write_json
from protores.progress import Progress

FOLDER, NAME, FORMAT, VERSION = "_manifest", "manifest.json", "protores-archive", 1
SHARDS_PER_FILE = 1000
SHARD_SIZE = 1000
"""Images in a shard, unless said otherwise."""
SCHEMA = pa.schema([pa.field("path", pa.binary(), nullable=False)])
"""Bytes: a file name need not be UTF-8."""


@dataclass(frozen=True)
class Manifest:
    """The shards of an archive.

    source: its URL. model: Inspector.digest. shard_size: images in each shard but the last. images: of all. digest:
    SHA-256 of their paths.
    """

    folder: Path
    source: str
    model: str
    shard_size: int
    images: int
    digest: str

    @property
    def shards(self) -> int:
        """How many there are; they are numbered from 0."""
        return -(-self.images // self.shard_size)

    def size(self, shard: int) -> int:
        """Images in a shard."""
        return min(self.shard_size, self.images - shard * self.shard_size)

    def paths(self, shard: int) -> list[str]:
        """A shard's images below the source. Raises ArchiveError where the manifest is damaged."""
        path = self.folder / FOLDER / _file(shard // SHARDS_PER_FILE)
        try:
            with pq.ParquetFile(path) as file:
                found = file.read_row_group(shard % SHARDS_PER_FILE)["path"].to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise ArchiveError(f"{path} is missing or damaged; begin anew in another --out") from error
        return [name.decode("utf-8", "surrogateescape") for name in found]

    @classmethod
    def write(
        cls, folder: Path, source: str, model: str, shard_size: int, paths: Iterable[str], progress: Progress
    ) -> Self:
        """Lists the paths, as they come. Raises DataError where there is none, and OSError; then nothing is written."""
        digest, images, waiting = hashlib.sha256(), 0, _shards(paths, shard_size)
        with whole_folder(folder / FOLDER) as home:
            for number, first in enumerate(waiting):
                if number:
                    progress.note(f"listed {images:,} images")
                with _writer(home / _file(number)) as file:
                    for names in chain([first], islice(waiting, SHARDS_PER_FILE - 1)):
                        file.write_table(pa.table({"path": names}, SCHEMA), row_group_size=shard_size)
                        digest.update(b"\0".join(names) + b"\0")
                        images += len(names)
            if not images:
                raise DataError(f"{source}: no images; name a folder or URL that holds some")
            manifest = cls(folder, source, model, shard_size, images, digest.hexdigest())
            write_json(home / NAME, manifest._to_dict())
        progress.note(f"listed {images:,} images, in {manifest.shards:,} shards")
        return manifest

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What write wrote; None where nothing was. Raises ArchiveError where it is another program's, or damaged."""
        path = folder / FOLDER / NAME
        try:
            values = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ArchiveError(f"{path} cannot be read ({error}); begin anew in another --out") from error
        try:
            if (values.pop("format"), values.pop("version")) != (FORMAT, VERSION):
                raise ValueError
            manifest = cls(folder, **values)
            if not manifest._is_sound():
                raise ValueError
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArchiveError(f"{path} is not of this protores; begin anew in another --out") from error
        return manifest

    def _is_sound(self) -> bool:
        numbers = all(type(value) is int and value > 0 for value in (self.shard_size, self.images))
        return numbers and all(isinstance(value, str) for value in (self.source, self.model, self.digest))

    def _to_dict(self) -> dict[str, Any]:
        own = {key: value for key, value in asdict(self).items() if key != "folder"}
        return {"format": FORMAT, "version": VERSION} | own


def _file(number: int) -> str:
    return f"paths-{number:06d}.parquet"


def _writer(path: Path) -> pq.ParquetWriter:
    """Sorted paths share their beginnings, of which each is stored once."""
    return pq.ParquetWriter(
        path, SCHEMA, compression="zstd", use_dictionary=False, column_encoding={"path": "DELTA_BYTE_ARRAY"}
    )


def _shards(paths: Iterable[str], size: int) -> Iterator[list[bytes]]:
    encoded = (path.encode("utf-8", "surrogateescape") for path in paths)
    while batch := list(islice(encoded, size)):
        yield batch
