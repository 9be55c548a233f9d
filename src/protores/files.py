"""Files that are there whole or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from protores.errors import RunError


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the file and renames; where that fails, nothing is left behind. Raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
        if path.is_dir():
            path.rmdir()
        os.replace(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


@contextmanager
def writing(folder: Path, when_full: str = "free some space and try again") -> Iterator[None]:
    """Says in one line what went wrong with a disk or a folder: raises RunError for an OSError."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise RunError(f"the disk of {folder} is full; {when_full}") from error
        name = error.filename or folder
        raise RunError(f"{os.fspath(name)}: {error.strerror or error}; check the path and its permissions") from error
