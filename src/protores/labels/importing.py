"""Labels of an annotation tool become a plain data folder: good/, bad/<kind>/ and masks/<kind>/, images as they were.

An image is good only where somebody said so: it has a tag for good ones, or the tool knows that it was reviewed and
nothing was found. What is not labelled is set aside. docs/labels.md has the rules.
"""

import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protores.data.container import upright
from protores.data.image import ENDINGS, Decoded, decode_image, encode_mask, read_bytes
from protores.data.layouts import read_plain
from protores.data.sample import GOOD
from protores.data.store import in_parallel
from protores.errors import DataError, RunError, SettingsError
from protores.files import whole_folder, writing
from protores.labels import coco, cvat, labelme, labelstudio
from protores.labels.images import ImageFiles
from protores.labels.labelled import Labelled, Malformed
from protores.labels.names import Names
from protores.labels.shapes import Mask, draw
from protores.progress import Progress

READERS: dict[str, Callable[[Path], Iterator[Labelled]]] = {
    "labelme": labelme.read,
    "coco": coco.read,
    "cvat": cvat.read,
    "labelstudio": labelstudio.read,
}
GOOD_LABELS = ("good", "ok")
_NAMED = 3


@dataclass(frozen=True)
class Rules:
    """good_labels: labels (in any letter case) of good images, "good" always among them. ignore_labels: those that mark
    no defect, but a part, say. good_if_empty: images without any label are good. line_width: of lines and points,
    pixels. skip_bad: go on without images that cannot be used."""

    good_labels: tuple[str, ...] = GOOD_LABELS
    ignore_labels: tuple[str, ...] = ()
    good_if_empty: bool = False
    line_width: float = 3.0
    skip_bad: bool = False

    def means_good(self, label: str) -> bool:
        return label.strip().casefold() in {GOOD, *(good.strip().casefold() for good in self.good_labels)}

    def ignores(self, label: str) -> bool:
        return label.strip().casefold() in {ignored.strip().casefold() for ignored in self.ignore_labels}


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


@dataclass(frozen=True)
class _Judged:
    """An image on its way. kind: "good", a defect, or None: set aside. mask: its PNG file, None without one.

    file: the image's own, None where the label file holds it. ending: of the file to write.
    """

    labelled: Labelled
    file: Path | None
    ending: str
    kind: str | None
    mask: bytes | None = None


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
                packed.extractall(folder)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{source}: cannot be unpacked ({error}); unpack it and name the folder") from error
        yield Path(folder)


def _judge_all(
    found: Sequence[Labelled], files: ImageFiles, rules: Rules, progress: Progress
) -> tuple[list[_Judged], tuple[str, ...]]:
    """The images and, with skip_bad, why the others cannot be used."""

    def work(labelled: Labelled) -> _Judged | DataError:
        try:
            return _judge(labelled, files, rules)
        except DataError as error:
            return error

    results = _once_each(in_parallel(work, found, progress=lambda a, b: progress.track("reading labels", a, b)))
    errors = [result for result in results if isinstance(result, DataError)]
    if errors and not (rules.skip_bad and len(errors) < len(results)):
        others = f" ({len(errors)} such images; --skip-bad leaves them out)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0]}{others}")
    return [result for result in results if isinstance(result, _Judged)], tuple(map(str, errors))


def _once_each(results: Iterable[_Judged | DataError]) -> list[_Judged | DataError]:
    """An image that is labelled a second time becomes an error."""
    first: dict[Path, Labelled] = {}
    kept: list[_Judged | DataError] = []
    for result in results:
        if isinstance(result, _Judged) and result.file is not None:
            before = first.setdefault(result.file, result.labelled)
            if before is not result.labelled:
                places = " and in ".join(dict.fromkeys(one.source.name for one in (before, result.labelled)))
                result = DataError(f"{result.file}: is labelled twice, in {places}; keep one of them")
        kept.append(result)
    return kept


def _judge(labelled: Labelled, files: ImageFiles, rules: Rules) -> _Judged:
    if labelled.error is not None:
        raise DataError(f"{labelled.source}: has {labelled.error} for {labelled.name}; correct it, or pass --skip-bad")
    file, data = _data(labelled, files)
    decoded = decode_image(data, file or labelled.name)
    ending = _ending(file, decoded)
    marks = [(label, shape) for label, shape in labelled.outlines if not rules.ignores(label)]
    tags = [tag for tag in labelled.tags if not rules.ignores(tag)]
    outlines = [(label, shape) for label, shape in marks if not rules.means_good(label)]
    defects = [tag for tag in tags if not rules.means_good(tag)]
    said_good = any(rules.means_good(label) for label in (*tags, *(label for label, _ in marks)))
    if said_good and (outlines or defects):
        return _Judged(labelled, file, ending, None)
    if outlines:
        size, orientation = _frame(labelled, decoded)
        masks: dict[str, Mask] = {}
        for label, shape in outlines:
            drawn = draw(shape, size, rules.line_width)
            masks[label] = masks[label] | drawn if label in masks else drawn
        kind = max(sorted(masks), key=lambda label: int(masks[label].sum()))
        whole = upright(np.bitwise_or.reduce(list(masks.values())), orientation)
        return _Judged(labelled, file, ending, kind, encode_mask(whole) if whole.any() else None)
    if defects:
        return _Judged(labelled, file, ending, defects[0])
    is_good = said_good or labelled.reviewed or rules.good_if_empty
    return _Judged(labelled, file, ending, GOOD if is_good else None)


def _data(labelled: Labelled, files: ImageFiles) -> tuple[Path | None, bytes]:
    file = files.find(labelled)
    if file is not None:
        return file, read_bytes(file)
    if not labelled.embedded:
        where = " or ".join(map(str, files.folders))
        raise DataError(f"{labelled.name}: is not below {where}; name its folder by --images, or pass --skip-bad")
    try:
        return None, labelme.embedded_image(labelled.source)
    except Malformed as error:
        raise DataError(f"{labelled.source}: holds {error}; put the image beside it, or pass --skip-bad") from error


def _ending(file: Path | None, decoded: Decoded) -> str:
    """The file's own, if data folders know it; else by its content."""
    if file is not None and file.suffix.lower() in ENDINGS:
        return file.suffix
    return _ENDINGS.get(decoded.header.format, ".png")


_ENDINGS = {"JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WebP": ".webp", "PNM": ".ppm"}


def _frame(labelled: Labelled, decoded: Decoded) -> tuple[tuple[int, int], int]:
    """The size that the outlines are drawn in, and the EXIF orientation that then turns the mask upright.

    Tools show images upright; where the stated size is the file's before turning, the labels are too. Raises DataError
    where it is neither.
    """
    height, width = decoded.pixels.shape[:2]
    if labelled.size in (None, (height, width)):
        return (height, width), 1
    if labelled.size == (width, height) and decoded.header.orientation > 4:
        return (width, height), decoded.header.orientation
    raise DataError(
        f"{labelled.name}: was labelled at {labelled.size[1]} x {labelled.size[0]} pixels but is {width} x {height}; "
        "put the image there that was labelled, or pass --skip-bad"
    )


def _write(judged: Iterable[_Judged], folder: Path, out: Path, left_out: tuple[str, ...]) -> Imported:
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


def _copy(one: _Judged, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if one.file is None:
        to.write_bytes(labelme.embedded_image(one.labelled.source))
    else:
        shutil.copyfile(one.file, to)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} images ({', '.join(names[:_NAMED])}{more})"
