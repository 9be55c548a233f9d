"""Where an imported image and its mask go: names that every system can write and that no two images share."""

import re
from pathlib import PurePosixPath

from protores.data.sample import GOOD

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class Names:
    """Names that were given already, without regard to letter case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def places(self, name: str, kind: str, ending: str) -> tuple[PurePosixPath, PurePosixPath]:
        """The places of an image and of its mask in a plain data folder.

        name: the tool's path of the image; its folders stay, unless they lead out. kind: "good", or a label, which
        becomes the folder's name. ending: of the image's file.
        """
        parts = [safe(part) for part in name.split("/") if part not in ("", ".", "..")] or ["_"]
        folder, stem = PurePosixPath(*parts[:-1]), PurePosixPath(parts[-1]).stem
        top = PurePosixPath(GOOD) if kind == GOOD else PurePosixPath("bad", safe(kind))
        masks = PurePosixPath("masks", top.name)
        # An image x would take the mask x_mask of an image x_mask for its own.
        stem = re.sub(r"_mask$", "-mask", stem, flags=re.IGNORECASE)
        free, number = stem, 1
        while str(top / folder / free).casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}"
        self._taken.add(str(top / folder / free).casefold())
        return top / folder / f"{free}{ending}", masks / folder / f"{free}_mask.png"


def safe(name: str) -> str:
    """A name for one file or folder: what some system forbids is replaced, hidden files come to light."""
    cleaned = _FORBIDDEN.sub("_", name).strip().rstrip(". ")
    if cleaned.startswith(".") or not cleaned or _RESERVED.fullmatch(cleaned):
        cleaned = f"_{cleaned.lstrip('.')}"
    return cleaned
