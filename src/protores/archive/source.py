"""Where an archive's images lie: a folder, or whatever fsspec opens; listed in one order, read by name."""

import errno
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from protores.data.image import ENDINGS
from protores.errors import DataError, UnreadableImage

WAITS = (1.0, 5.0, 25.0)
"""Seconds before a store that does not answer is asked again."""
_OF_ONE_FILE = (errno.EIO, errno.ELOOP, errno.ENAMETOOLONG)
_Entry = tuple[str, bool]


class Source:
    """The images below a folder or URL. Its methods may be called from any thread.

    url: as it was given, without a user's name and password. address: what another process opens it by. Memory is that
    of the largest folder's names.
    """

    def __init__(self, url: str):
        """url: a folder, or what fsspec opens: file://, s3://, zip::FILE, ...

        Raises DataError where there is none, or where fsspec lacks what such a URL needs.
        """
        self.url = re.sub(r"//[^/@]*@", "//", url)
        try:
            self.fs, self.root = fsspec.url_to_fs(url)
            there = self.fs.isdir(self.root)
        except ImportError as error:
            raise DataError(f"{self.url}: its driver is missing ({_line(error)}); pip install it, here and "
                            "where the workers are") from error  # fmt: skip
        except Exception as error:  # each driver has its own
            raise DataError(f"{self.url} cannot be opened ({_line(error)}); check the URL and what its store "
                            "asks for") from error  # fmt: skip
        if not there:
            raise DataError(f"{self.url}: no such folder; name a folder, a URL of one, or a file as zip::FILE")
        if isinstance(self.fs, LocalFileSystem):
            url = self.url = str(Path(self.root).resolve())
        self.address = url
        self._start = self.root.rstrip("/") + "/" if self.root else ""

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the same."""
        return not isinstance(self.fs, MemoryFileSystem)

    def paths(self) -> Iterator[str]:
        """The images below it, relative and with "/", by ending and without hidden ones, as they are found.

        Folder by folder, each sorted by name. A link to a folder above itself is not followed. Raises DataError where
        a folder cannot be listed.
        """
        waiting: list[tuple[str, Iterator[_Entry]]] = [("", iter(self._entries("")))]
        while waiting:
            folder, entries = waiting[-1]
            for name, is_folder in entries:
                if is_folder:
                    waiting.append((f"{folder}{name}/", iter(self._entries(f"{folder}{name}/"))))
                    break
                if os.path.splitext(name)[1].lower() in ENDINGS:
                    yield folder + name
            else:
                waiting.pop()

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises UnreadableImage where this file cannot be had, and DataError where none can."""
        for wait in (*WAITS, None):
            try:
                return self.fs.cat_file(self._start + path)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, BadZipFile) as error:
                if isinstance(error, FileNotFoundError) and not self.is_there():
                    raise DataError(f"{self.url} is gone; the same command goes on once it is back") from error
                raise UnreadableImage(f"{path}: {_line(error)}; check the file and its rights") from error
            except Exception as error:
                if isinstance(error, OSError) and error.errno in _OF_ONE_FILE:
                    raise UnreadableImage(f"{path}: {_line(error)}; check the file and its disk") from error
                if wait is None:
                    raise DataError(f"{self.url} does not answer ({_line(error)}); the same command goes on once it "
                                    "does") from error  # fmt: skip
                time.sleep(wait)
        raise AssertionError("every round returns or raises")

    def is_there(self) -> bool:
        """Whether the folder exists and holds anything: what was unmounted is empty."""
        try:
            return any(os.scandir(self.root)) if isinstance(self.fs, LocalFileSystem) else self.fs.isdir(self.root)
        except OSError:
            return False

    def _entries(self, folder: str) -> list[_Entry]:
        """Names in a folder below the source ("" or with "/" at its end), sorted, and whether each is a folder."""
        place = (self._start + folder).rstrip("/") or self.root
        try:
            if isinstance(self.fs, LocalFileSystem):
                return _local_entries(place)
            found = [_entry(one) for one in self.fs.ls(place, detail=True) if _is_below(one["name"], place)]
            self.fs.invalidate_cache()  # else it keeps all that it listed
        except Exception as error:
            raise DataError(f"{self.url}: {folder or 'it'} cannot be listed ({_line(error)}); check its "
                            "rights") from error  # fmt: skip
        return sorted(entry for entry in found if not entry[0].startswith("."))


def _local_entries(place: str) -> list[_Entry]:
    """As the operating system gives them: fsspec asks for each file's status and takes ten times as long."""
    with os.scandir(place) as entries:
        return sorted(
            (entry.name, entry.is_dir())
            for entry in entries
            if not entry.name.startswith(".") and not (entry.is_symlink() and _leads_up(entry.path))
        )


def _leads_up(link: str) -> bool:
    target, home = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    return os.path.commonpath((target, home)) == target


def _is_below(name: str, place: str) -> bool:
    """Object stores may list a folder in itself."""
    return name.strip("/") != place.strip("/")


def _entry(info: dict[str, Any]) -> _Entry:
    return info["name"].rstrip("/").rsplit("/", 1)[-1], info["type"] == "directory"


def _line(error: Exception) -> str:
    """What happened, in one line."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(reason.split())
