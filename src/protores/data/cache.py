"""Decoded and resized images on disk, a file an image: no data set has to fit in memory, nor be decoded twice.

A file's name is a hash over the contents of the image and of its mask and over all that decides how they are read, the
code and the libraries that decode included: what changed has another name, and nothing is ever out of date. Files are
written beside their place and moved there, checked when a data set is opened, and made anew where they are missing or
damaged, so the folder may be deleted at any time. Whoever looks at an image maps it to memory for as long.
"""

import hashlib
import json
import os
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.look import SIDE

DAY = 86400
_FACTS = 1024
_PART = ".part"
_CODE = ("container.py", "image.py", "look.py", "reader.py", "record.py", "tiff.py")


class Damaged(Exception):
    """An entry is not there, cut off, or not what was written."""


@dataclass(frozen=True)
class Entry:
    """One image of a size (height, width) in the cache."""

    path: Path
    size: tuple[int, int]
    has_mask: bool

    @cached_property
    def layout(self) -> np.dtype:
        """How the file is laid out: a checksum over all behind it, facts in JSON, and the arrays."""
        fields = [
            ("checksum", "<u4"),
            ("facts", f"S{_FACTS}"),
            ("thumb", "<f4", (SIDE, SIDE)),
            ("image", "u1", (*self.size, 3)),
        ]
        return np.dtype(fields + [("mask", "u1", self.size)] * self.has_mask)

    @property
    def is_there(self) -> bool:
        """In its length, at least."""
        return self.path.is_file() and self.path.stat().st_size == self.layout.itemsize

    def mapped(self, name: Literal["image", "mask"]) -> NDArray[np.uint8]:
        """One array, mapped to memory for as long as it is held. Raises Damaged where the file is not there in its
        length."""
        try:
            return np.memmap(self.path, self.layout, "r", shape=(1,))[name][0].view(np.ndarray)
        except (OSError, ValueError) as error:
            raise Damaged(str(self.path)) from error

    def read(self) -> tuple[dict[str, Any], NDArray[np.float32]]:
        """Facts and thumb; all is read and checked. Raises Damaged."""
        try:
            content = self.path.read_bytes()
            if len(content) != self.layout.itemsize:
                raise ValueError("cut off")
            (entry,) = np.frombuffer(content, self.layout)
            if zlib.crc32(memoryview(content)[4:]) != entry["checksum"]:
                raise ValueError("changed")
            return json.loads(entry["facts"]), entry["thumb"].copy()  # a view would keep all of the content
        except (OSError, ValueError) as error:
            raise Damaged(str(self.path)) from error

    def content(self, facts: dict[str, Any], thumb: NDArray[np.float32], *arrays: NDArray[np.uint8]) -> bytes:
        """What the file holds. arrays: the image, and its mask where there is one."""
        entry = np.zeros(1, self.layout)
        entry["facts"] = json.dumps(facts, separators=(",", ":")).encode()
        entry["thumb"] = thumb
        for name, array in zip(("image", "mask"), arrays, strict=False):
            entry[name] = array
        entry["checksum"] = zlib.crc32(entry.tobytes()[4:])
        return entry.tobytes()


@dataclass(eq=False)
class Cache:
    """A folder of entries, for any number of data sets, settings and processes at once.

    limit: bytes that it is kept to. failure: what kept an entry from being written, after which none is. written: bytes
    of new entries.
    """

    folder: Path
    limit: int
    failure: OSError | None = None
    written: int = field(default=0, init=False)

    def entry(self, image: str, mask: str | None, size: tuple[int, int], keep_aspect: bool, depth: int) -> Entry:
        """Where an image with these contents, read so, has its place. image, mask: sha256 of the files' bytes."""
        parts = [decoder(), image, mask, *size, keep_aspect, depth]
        name = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return Entry(self.folder / name[:2] / name[2:], size, mask is not None)

    def write(self, entry: Entry, content: bytes) -> bool:
        """Whether the entry is there now, whole."""
        if self.failure is not None:
            return False
        try:
            entry.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(_PART, dir=entry.path.parent)
            try:
                with open(handle, "wb") as file:
                    file.write(content)
                os.replace(part, entry.path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            if entry.is_there:  # on Windows another process that uses it keeps it from being replaced
                return True
            self.failure = error
            return False
        self.written += len(content)
        return True

    def tidy(self) -> None:
        """Removes what was used longest ago until the folder is within its limit, but nothing of the last day."""
        now, files = time.time(), []
        for found in self.folder.glob("??/*"):
            try:
                state = found.stat()
            except OSError:
                continue
            if found.suffix == _PART and now - state.st_mtime > DAY:
                found.unlink(missing_ok=True)
            files.append((state.st_mtime, state.st_size, found))
        total = sum(size for _, size, _ in files)
        for used, size, found in sorted(files):
            if total <= self.limit or now - used <= DAY:
                return
            try:
                found.unlink(missing_ok=True)
            except OSError:  # on Windows it may be mapped by another process
                continue
            total -= size


def use(entry: Entry) -> None:
    """Marks an entry as used now."""
    with suppress(OSError):
        os.utime(entry.path)


def user_folder() -> Path:
    """Where this user's programs keep what can be made anew."""
    if sys.platform == "win32":
        home = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library/Caches"
    else:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "protores/images"


@cache
def decoder() -> str:
    """What decodes: a hash over the code that does and the versions of its libraries."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__} {version('tifffile')}".encode())
    for name in _CODE:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()
