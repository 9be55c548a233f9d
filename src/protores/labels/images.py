"""Finding the image files that labels speak of, wherever an export was unpacked."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from protores.data.folders import images_in
from protores.errors import DataError
from protores.labels.labelled import Labelled

_PREFIX = re.compile(r"^[0-9a-f]{8}-")
"""Label Studio puts this in front of the name of an uploaded file."""


class ImageFiles:
    """All image files below some folders, by name; letters with accents count alike, however they are composed."""

    def __init__(self, folders: Sequence[Path]):
        self.folders = folders
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(path for folder in folders for path in images_in(folder, deep=True)):
            self._by_name[_composed(path.name)].append(path)

    def find(self, labelled: Labelled) -> Path | None:
        """The file whose path ends most like the image's name; None where there is none of that name.

        Raises DataError where several end equally alike.
        """
        if labelled.beside is not None and labelled.beside.is_file():
            return labelled.beside
        parts = _composed(labelled.name).split("/")
        found = self._by_name.get(parts[-1]) or self._by_name.get(_PREFIX.sub("", parts[-1]), [])
        alike = [_common(_composed(path.as_posix()).split("/")[:-1], parts[:-1]) for path in found]
        best = [path for path, common in zip(found, alike, strict=True) if common == max(alike)]
        if len(best) > 1:
            raise DataError(
                f"{labelled.name}: may be {best[0]} or {best[1]}; name the folder of the right ones by --images"
            )
        return best[0] if best else None


def _common(path: list[str], name: list[str]) -> int:
    """How many folders at the ends of both are the same."""
    pairs = zip(reversed(path), reversed(name), strict=False)
    return next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(path), len(name)))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
