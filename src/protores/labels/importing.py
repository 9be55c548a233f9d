"""Labels of an annotation tool become a plain data folder: good/, bad/<kind>/ and masks/<kind>/, images as they were.

An image is good only where somebody said so: it has a tag for good ones, or the tool knows that it was reviewed and
nothing was found. What is not labelled is set aside. docs/labels.md has the rules.
"""

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protores.data.layouts import read_plain
from protores.data.sample import GOOD
from protores.data.store import in_parallel
from protores.errors import DataError, RunError, SettingsError
from protores.files import whole_folder, writing
from protores.labels import coco, cvat, labelme, labelstudio
from protores.labels.images import ImageFiles
from protores.labels.judging import Judged, Rules, judge
from protores.labels.labelled import Labelled
from protores.labels.names import Names
from protores.progress import Progress

READERS: dict[str, Callable[[Path], Iterator[Labelled]]] = {
    "labelme": labelme.read,
    "coco": coco.read,
    "cvat": cvat.read,
    "labelstudio": labelstudio.read,
}
_UNPACKABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, RuntimeError)
"""All that zipfile raises for an archive that is damaged, encrypted or packed in a way that it does not know."""
_NAMED = 3


@dataclass(frozen=True)
class Imported:
    """What import_masks wrote. kinds: images of each kind of defect. unmasked: defect images without a mask.

    set_aside: images that are not labelled, or both good and bad. left_out: those that cannot be used, and why.
    """

    out: Path
    good: int
    kinds: dict[str, int]
    unmasked: tuple[str, ...]
    set_aside: tuple[str, ...]
    left_out: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people."""
        spread = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items())) or "no defects"
        lines = [f"imported  {self.out}: {self.good} good; {spread}"]
        if self.unmasked:
            lines.append(f"no mask   {_listed(self.unmasked)}: they are tested on, but do not train")
        if self.set_aside:
            lines.append(f"set aside {_listed(self.set_aside)}: nobody said whether they are good")
        return lines + [f"left out  {why}" for why in self.left_out]


def import_masks(
    tool: str,
    source: Path,
    out: Path,
    images: Path | None = None,
    rules: Rules | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Writes the images that a tool's labels speak of, and their masks, as a plain data folder.

    tool: labelme, coco, cvat or labelstudio. source: its file, a folder that holds it, or the zip that it exported.
    images: a folder to look for the image files below, besides the one of the labels. The kind of an image with several
    labels is the one that covers most of it, its mask is of them all. Raises DataError for labels or images that cannot
    be used (with rules.skip_bad only where none can), SettingsError for an unknown tool, RunError where `out` is taken
    or cannot be written.
    """
    rules, progress = rules or Rules(), progress or Progress()
    if tool not in READERS:
        raise SettingsError(f"unknown tool {tool!r}; choose {', '.join(READERS)}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise RunError(f"{out} exists already; delete it or pass another --out")
    with _opened(source) as place:
        found = list(READERS[tool](place))
        if not found:
            raise DataError(f"{source}: no labels of {tool} in there; name its export, or the right tool by --from")
        folders = [place if place.is_dir() else place.parent, *([images] if images else [])]
        judged, left_out = _judge_all(found, ImageFiles(folders), rules, progress)
        if all(one.kind is None for one in judged):
            left = f"no image is left to import, {len(judged)} are set aside"
            raise DataError(f"{source}: {left}; label them, or pass --good-if-empty if those without labels are good")
        with writing(out), whole_folder(out) as folder:
            return _write(judged, folder, out, left_out)


@contextmanager
def _opened(source: Path) -> Iterator[Path]:
    """The labels' file or folder; a zip is unpacked for the time being. Raises DataError."""
    if not source.exists():
        raise DataError(f"{source}: no such file or folder; name what the tool exported")
    if source.is_dir() or not zipfile.is_zipfile(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="protores-") as folder:
        try:
            with zipfile.ZipFile(source) as packed:
                _require_room(packed, Path(folder))
                packed.extractall(folder)
        except _UNPACKABLE as error:
            raise DataError(f"{source}: cannot be unpacked ({error}); unpack it and name the folder") from error
        yield Path(folder)


def _require_room(packed: zipfile.ZipFile, folder: Path) -> None:
    """Raises OSError where the files would fill the disk; none is unpacked beyond the size that it states."""
    size, free = sum(file.file_size for file in packed.infolist()), shutil.disk_usage(folder).free
    if size > free:
        raise OSError(f"its files take {size >> 20:,} MiB and {folder.parent} has {free >> 20:,}")


def _judge_all(
    found: Sequence[Labelled], files: ImageFiles, rules: Rules, progress: Progress
) -> tuple[list[Judged], tuple[str, ...]]:
    """The images and, with skip_bad, why the others cannot be used."""

    def work(labelled: Labelled) -> Judged | DataError:
        try:
            return judge(labelled, files, rules)
        except DataError as error:
            return error

    results = _once_each(in_parallel(work, found, progress=lambda a, b: progress.track("reading labels", a, b)))
    errors = [result for result in results if isinstance(result, DataError)]
    if errors and not (rules.skip_bad and len(errors) < len(results)):
        others = f" ({len(errors)} such images; --skip-bad leaves them out)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0]}{others}")
    return [result for result in results if isinstance(result, Judged)], tuple(map(str, errors))


def _once_each(results: Iterable[Judged | DataError]) -> list[Judged | DataError]:
    """An image that is labelled a second time becomes an error."""
    first: dict[Path, Labelled] = {}
    kept: list[Judged | DataError] = []
    for result in results:
        if isinstance(result, Judged) and result.file is not None:
            before = first.setdefault(result.file, result.labelled)
            if before is not result.labelled:
                places = " and in ".join(dict.fromkeys(one.source.name for one in (before, result.labelled)))
                result = DataError(f"{result.file}: is labelled twice, in {places}; keep one of them")
        kept.append(result)
    return kept


def _write(judged: Iterable[Judged], folder: Path, out: Path, left_out: tuple[str, ...]) -> Imported:
    names = Names()
    kinds: Counter[str] = Counter()
    unmasked, set_aside = [], []
    meant: dict[Path, tuple[str, Path | None]] = {}
    for one in judged:
        if one.kind is None:
            set_aside.append(one.labelled.name)
            continue
        image, mask = names.places(one.labelled.name, one.kind, one.ending)
        _copy(one, folder / image)
        if one.mask is not None:
            (folder / mask).parent.mkdir(parents=True, exist_ok=True)
            (folder / mask).write_bytes(one.mask)
        elif one.kind != GOOD:
            unmasked.append(one.labelled.name)
        kind = GOOD if one.kind == GOOD else image.parts[1]
        kinds[kind] += 1
        meant[folder / image] = kind, None if one.mask is None else folder / mask
    read = {sample.path: (sample.kind, sample.mask) for sample in read_plain(folder).dataset.samples}
    if wrong := [path for path, meaning in meant.items() if read.get(path) != meaning]:
        raise DataError(f"{wrong[0].relative_to(folder)}: would be taken for another image; rename it or its label")
    good = kinds.pop(GOOD, 0)
    return Imported(out, good, dict(kinds), tuple(unmasked), tuple(set_aside), left_out)


def _copy(one: Judged, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if one.file is None:
        to.write_bytes(labelme.embedded_image(one.labelled.source))
    else:
        shutil.copyfile(one.file, to)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} images ({', '.join(names[:_NAMED])}{more})"
