"""Files: what cannot be read, and what is read in a way that is worth knowing."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from protores.data.container import format_of
from protores.data.findings import Problem, these
from protores.data.image import ENDINGS, read_mask
from protores.data.look import Look
from protores.data.record import Record
from protores.data.scan import Scan
from protores.errors import DataError, UnreadableImage

FORMAT_ENDINGS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
    ".pgm": "PNM",
    ".ppm": "PNM",
}
_HEAD = 16


def unusable(scan: Scan) -> Iterator[Problem]:
    """Images and masks that cannot be read, masks of another size, masks without an image."""
    for skipped in scan.skipped:
        yield _of_error(skipped.error, skipped.sample.path, scan.skip_bad)
    for path in (scan.settings.ignore, scan.settings.roi):
        try:
            if path is not None:
                read_mask(path)
        except DataError as error:
            yield _of_error(error, path, False)
    for path in scan.survey.orphans:
        yield Problem.of("mask-orphan", [path], "a mask without its image")


def _of_error(error: DataError, path: Path, skip_bad: bool) -> Problem:
    """An error's line, "file: what; cure", taken apart."""
    what, _, cure = str(error).rpartition("; ")
    where, _, message = what.partition(": ")
    rule = "unreadable"
    if not isinstance(error, UnreadableImage):
        rule = "mask-size"
    elif skip_bad:
        rule, message = "left-out", f"left out: {message}"
    elif message.startswith("the file is empty"):
        rule = "empty-file"
    elif message.startswith("cut off"):
        rule = "truncated"
    return Problem.of(rule, [Path(where) if where else path], message, cure)


def names(scan: Scan) -> Iterator[Problem]:
    """Names that are no UTF-8 (from an old camera or a broken archive), which no split.json can hold."""
    for sample in scan.dataset.samples:
        for path in filter(None, (sample.path, sample.mask)):
            if not _is_utf8(str(path)):
                yield Problem.of("name", [path], "its name holds bytes that are no UTF-8")


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def not_read(scan: Scan) -> Iterator[Problem]:
    """Images by their first bytes that are left alone for their ending, in the folders that hold images."""
    for folder in sorted({sample.path.parent for sample in scan.dataset.samples}):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in ENDINGS or path.name.startswith(".") or not path.is_file():
                continue
            with path.open("rb") as file:
                found = format_of(file.read(_HEAD))
            if found and path.suffix.lower() != ".txt":
                yield Problem.of("not-read", [path], f"a {found} file that is not read, for its ending")


def storage(scan: Scan) -> Iterator[Problem]:
    """What of a file is not what its picture looks like in a viewer, or in another program."""
    for rule, holds, told in _STORAGE:
        found = [record for record, look in scan.pairs() if holds(record, look)]
        if found:
            depth = scan.settings.bit_depth
            message = told.format(these=these(found), depth=depth)
            yield Problem.of(rule, [record.sample.path for record in found], message)


_STORAGE: Sequence[tuple[str, Callable[[Record, Look], bool], str]] = (
    ("animated", lambda _, look: look.header.frames > 1, "only the first picture is read of {these}"),
    ("cmyk", lambda _, look: look.header.storage == "CMYK", "inks of a press (CMYK) are stored in {these}"),
    ("palette", lambda _, look: look.header.storage == "palette", "a palette of up to 256 colours in {these}"),
    ("16-bit", lambda record, _: record.bits == 16, "16 bits, read as {depth} bits deep, in {these}"),
    ("exif-rotated", lambda _, look: look.header.orientation > 1, "turned upright by their EXIF tag: {these}"),
)


def wrong_ending(scan: Scan) -> Iterator[Problem]:
    """Files of another format than their name says."""
    for record, look in scan.pairs():
        paths = [(record.sample.path, look.header.format)]
        if record.sample.mask is not None and look.mask is not None:
            paths.append((record.sample.mask, look.mask.header.format))
        for path, found in paths:
            if found and found != FORMAT_ENDINGS[path.suffix.lower()]:
                yield Problem.of("wrong-ending", [path], f"a {found} file by its content")
