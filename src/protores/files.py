"""Files that are there whole or not at all, after a kill and after a power failure."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from protores.errors import RunError


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the file, to the disk itself, and renames; where that fails, nothing is left behind.

    Raises OSError.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        _sync(part)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is told
            part.unlink(missing_ok=True)
        raise


def allocate(path: Path, size: int) -> None:
    """A file of `size` bytes, to be mapped to memory, that has its room on the disk. Raises OSError without.

    A mapped file that finds the disk full later ends the process by a signal, without a word.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        elif size > shutil.disk_usage(path.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
        file.truncate(size)


def write_text(path: Path, text: str) -> None:
    """Text in UTF-8."""
    write_whole(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """JSON that a person can read."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` at the end; where that fails, nothing is left behind. Raises OSError.

    It lies beside `path`, whose own place must be free, or an empty folder. What a kill left there goes first.
    """
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.is_dir():
            path.rmdir()
        os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    """Waits until the file's content is on the disk: a rename may get there first, and power may fail in between."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


@contextmanager
def writing(folder: Path, when_full: str = "free some space and try again") -> Iterator[None]:
    """Says in one line what went wrong with a disk or a folder: raises RunError for an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(f"the disk of {folder} is full; {when_full}") from error
        name = error.filename or folder
        raise RunError(f"{os.fspath(name)}: {error.strerror or error}; check the path and its permissions") from error
