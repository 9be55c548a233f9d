"""Looking into folders the same way on every system: any letter case, sorted, without the litter.

Left out: hidden files (._*.png on a Mac's disk, .DS_Store), Thumbs.db, licences, and whatever else has no
image's ending.
"""

import glob
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


def find_images(sources: Iterable[str | Path]) -> dict[Path, str]:
    """The images that files, folders (with all below them) and glob patterns stand for, each once, in that order.

    With each goes its name: the path below its folder, or a file's own name, without the ending. Raises DataError
    for a source that is not there or holds no image.
    """
    found: dict[Path, str] = {}
    for source in map(Path, sources):
        if source.is_dir():
            images = {path: path.relative_to(source).with_suffix("") for path in images_in(source, deep=True)}
        elif source.exists():
            images = {source: Path(source.stem)}
        elif glob.has_magic(str(source)):
            matches = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]
            images = {path: Path(path.stem) for path in matches if path.suffix.lower() in ENDINGS and path.is_file()}
        else:
            raise DataError(f"{source}: no such file or folder; check the path")
        if not images:
            raise DataError(f"{source}: no images; name image files, or folders or patterns that hold some")
        for path, name in images.items():
            found.setdefault(path, name.as_posix())
    return found


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
    """Raises DataError for a folder that is not there any more or may not be looked into."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror or error}; check the path and its rights") from error
