"""What becomes of a labelled image: good, a kind of defect with its mask, or set aside, as docs/labels.md says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protores.data.container import upright
from protores.data.image import ENDINGS, Decoded, decode_image, encode_mask, read_bytes
from protores.data.sample import GOOD
from protores.errors import DataError
from protores.labels.images import ImageFiles
from protores.labels.labelled import Labelled, Malformed
from protores.labels.labelme import embedded_image
from protores.labels.names import safe
from protores.labels.shapes import Mask, draw

GOOD_LABELS = ("good", "ok")


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
        return _folded(label) in {GOOD, *map(_folded, self.good_labels)}

    def ignores(self, label: str) -> bool:
        return _folded(label) in set(map(_folded, self.ignore_labels))


def _folded(label: str) -> str:
    """A label as a folder's name, in small letters: a folder that is called "good" holds good images."""
    return safe(label).casefold()


@dataclass(frozen=True)
class Judged:
    """An image on its way. kind: "good", a defect, or None: set aside. mask: its PNG file, None without one.

    file: the image's own, None where the label file holds it. ending: of the file to write.
    """

    labelled: Labelled
    file: Path | None
    ending: str
    kind: str | None
    mask: bytes | None = None


def judge(labelled: Labelled, files: ImageFiles, rules: Rules) -> Judged:
    """Reads the image and draws its mask. Raises DataError for labels or an image that cannot be used."""
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
        return Judged(labelled, file, ending, None)
    if outlines:
        size, orientation = _frame(labelled, decoded)
        masks: dict[str, Mask] = {}
        for label, shape in outlines:
            drawn = draw(shape, size, rules.line_width)
            masks[label] = masks[label] | drawn if label in masks else drawn
        kind = max(sorted(masks), key=lambda label: int(masks[label].sum()))
        whole = upright(np.bitwise_or.reduce(list(masks.values())), orientation)
        return Judged(labelled, file, ending, kind, encode_mask(whole) if whole.any() else None)
    if defects:
        return Judged(labelled, file, ending, defects[0])
    is_good = said_good or labelled.reviewed or rules.good_if_empty
    return Judged(labelled, file, ending, GOOD if is_good else None)


def _data(labelled: Labelled, files: ImageFiles) -> tuple[Path | None, bytes]:
    file = files.find(labelled)
    if file is not None:
        return file, read_bytes(file)
    if not labelled.embedded:
        where = " or ".join(map(str, files.folders))
        raise DataError(f"{labelled.name}: is not below {where}; name its folder by --images, or pass --skip-bad")
    try:
        return None, embedded_image(labelled.source)
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
