"""Looking into folders the same way on every system: any letter case, sorted, without the litter.

Left out: hidden files (._*.png on a Mac's disk, .DS_Store), Thumbs.db, licences, and whatever else has no
image's ending.
"""

from collections.abc import Iterable
from pathlib import Path

from protores.data.image import ENDINGS
from protores.errors import DataError


def images_in(folder: Path | None, deep: bool = False) -> list[Path]:
    """The image files in a folder (and, if deep, in all below it), sorted; none for a folder that is not."""
    if folder is None:
        return []
    images = []
    for path in _visible(folder):
        if path.is_dir():
            images += images_in(path, deep) if deep else []
        elif path.suffix.lower() in ENDINGS:
            images.append(path)
    return images


def folders_in(folder: Path | None) -> list[Path]:
    """The sub-folders of a folder, sorted; none for a folder that is not."""
    return [] if folder is None else [path for path in _visible(folder) if path.is_dir()]


def child(folder: Path | None, *names: str) -> Path | None:
    """The sub-folder with one of these names, in any letter case; None where there is none."""
    found = {path.name.lower(): path for path in folders_in(folder)}
    return next((found[name] for name in names if name in found), None)


def by_stem(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Files by their path below folder, without the ending and with "/"; raises DataError on two alike."""
    found: dict[str, Path] = {}
    for path in files:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(
                f"{path}: {found[stem].name} beside it has the same name but for the ending; keep one of them"
            )
        found[stem] = path
    return found


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
