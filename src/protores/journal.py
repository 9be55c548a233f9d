"""A file of JSON lines that grows while work goes on, and survives being cut off anywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protores.files import write_whole

Line = dict[str, Any]


class Journal:
    """The lines of a file, and more of them. Raises OSError as the disk does."""

    def __init__(self, path: Path, keep: Callable[[Line], bool]):
        """Reads what is there and drops the lines not to be kept, and a last one that was cut off."""
        self.path = path
        try:
            before = path.read_bytes()
        except FileNotFoundError:
            before = b""
        lines = [line for text in before.splitlines(keepends=True) if (line := _whole(text)) is not None]
        self.lines = [line for line in lines if keep(line)]
        after = b"".join(_text(line) for line in self.lines)
        if after != before:
            write_whole(path, after)

    def append(self, line: Line) -> None:
        """Writes the line at once, to its end."""
        with self.path.open("ab") as file:  # buffered: a disk that gets full takes a part of it, and says nothing
            file.write(_text(line))
        self.lines.append(line)


def _text(line: Line) -> bytes:
    # ASCII, since a file name may hold bytes that no UTF-8 can.
    return json.dumps(line, allow_nan=False).encode() + b"\n"


def _whole(text: bytes) -> Line | None:
    if not text.endswith(b"\n"):
        return None
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
