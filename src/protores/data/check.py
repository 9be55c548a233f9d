"""What is in a data set, how it is read, and what is wrong with it: all is read, nothing is changed."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from protores.data.image import probe_bit_depth, read_mask
from protores.data.layouts import TEST, TRAIN, Survey, survey
from protores.data.sample import Dataset, Sample
from protores.data.store import Progress, Record, in_parallel, load
from protores.errors import DataError
from protores.settings import DataSettings

FEW_GOOD = 20
_NAMED = 3


@dataclass(frozen=True)
class Problem:
    """One thing to know or to mend. An "error" stops training, a "warning" costs accuracy, a "note" neither.

    path is the file concerned (the first of several), None for the data set as a whole.
    """

    severity: Literal["error", "warning", "note"]
    path: Path | None
    message: str
    cure: str

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        return f"{self.severity}: {where}{self.message}; {self.cure}"


@dataclass(frozen=True)
class Count:
    """How many images of a kind one part holds, and how many of them have a mask."""

    part: str
    kind: str
    images: int
    masks: int


@dataclass(frozen=True)
class Findings:
    """All that inspect found.

    sizes (height, width), bits and channels come each with its number of images, most first;
    bit_depth is how many bits of 16-bit files are used, None where there are none.
    """

    dataset: Dataset
    counts: tuple[Count, ...]
    sizes: tuple[tuple[tuple[int, int], int], ...]
    bits: tuple[tuple[int, int], ...]
    channels: tuple[tuple[int, int], ...]
    bit_depth: int | None
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def lines(self) -> list[str]:
        """The findings as plain text, a line each."""
        dataset = self.dataset
        division = "with its own test part" if dataset.has_test else "the test part is drawn"
        found = [f"{dataset.root}: {dataset.layout} layout, {division}"]
        found += [f"{c.part} {c.kind}: {c.images} images, {c.masks} masks" for c in self.counts]
        found.append("sizes: " + ", ".join(f"{w} x {h} ({n})" for (h, w), n in self.sizes[:_NAMED]))
        found.append("bits: " + ", ".join(f"{bits} ({n})" for bits, n in self.bits))
        if self.bit_depth is not None:
            found.append(f"16-bit files are read as {self.bit_depth} bits deep")
        found.append("channels: " + ", ".join(f"{channels} ({n})" for channels, n in self.channels))
        return found + list(dataset.notes) + [str(problem) for problem in self.problems]


def inspect(
    root: Path, settings: DataSettings, threads: int | None = None, progress: Progress | None = None
) -> Findings:
    """Read every image and mask below root and report. Raises DataError where root has no known layout."""
    found = survey(root)
    dataset = found.dataset
    depth = settings.bit_depth or probe_bit_depth([s.path for s in dataset.samples if s.is_good])

    def read(sample: Sample) -> Record | Problem:
        try:
            return load(sample, depth).record
        except DataError as error:
            return _as_problem(error, sample.path)

    results = in_parallel(read, dataset.samples, threads, progress)
    records = [result for result in results if isinstance(result, Record)]
    problems = [result for result in results if isinstance(result, Problem)]
    problems += _orphans(found)
    problems += _unreadable_masks(settings)
    problems += [*_masks(records), *_copies(records), *_variety(records, settings), *_amount(dataset)]
    order = ("error", "warning", "note")
    return Findings(
        dataset=dataset,
        counts=_counts(dataset),
        sizes=_tally((r.height, r.width) for r in records),
        bits=_tally(r.bits for r in records),
        channels=_tally(r.channels for r in records),
        bit_depth=depth if any(r.bits == 16 for r in records) else None,
        problems=tuple(sorted(problems, key=lambda problem: order.index(problem.severity))),
    )


def _as_problem(error: DataError, path: Path) -> Problem:
    """An error's line, "file: what; cure", taken apart."""
    what, _, cure = str(error).rpartition("; ")
    where, _, message = what.partition(": ")
    return Problem("error", Path(where), message, cure) if message else Problem("error", path, what, cure)


def _counts(dataset: Dataset) -> tuple[Count, ...]:
    images = Counter((s.part, s.kind) for s in dataset.samples)
    masks = Counter((s.part, s.kind) for s in dataset.samples if s.mask is not None)
    order = sorted(images, key=lambda key: (key[0] != TRAIN, key[1] != "good", key[1]))
    return tuple(Count(part, kind, images[part, kind], masks[part, kind]) for part, kind in order)


def _tally(values: Iterator) -> tuple:
    return tuple(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _orphans(found: Survey) -> Iterator[Problem]:
    for path in found.orphans:
        yield Problem("error", path, "a mask without its image", "add the image or remove the mask")


def _unreadable_masks(settings: DataSettings) -> Iterator[Problem]:
    for path in (settings.ignore, settings.roi):
        if path is None:
            continue
        try:
            read_mask(path)
        except DataError as error:
            yield _as_problem(error, path)


def _masks(records: Sequence[Record]) -> Iterator[Problem]:
    bad = [record for record in records if not record.sample.is_good]
    bare = [record for record in bad if record.sample.mask is None]
    empty = [record for record in bad if record.sample.mask is not None and record.defect_pixels == 0]
    large = [record for record in bad if 2 * record.defect_pixels > record.height * record.width]
    if bare:
        cure = "outline them to train with them and to measure localisation"
        yield Problem("warning", bare[0].sample.path, f"no mask for {_these(bare)}", cure)
    if empty:
        cure = "outline the defect, or move the image to the good ones"
        yield Problem("warning", empty[0].sample.mask, f"nothing is outlined in {_these(empty)}", cure)
    if large:
        cure = "check that defects are white and the rest is black"
        yield Problem("warning", large[0].sample.mask, f"more than half is defect in {_these(large)}", cure)


def _copies(records: Sequence[Record]) -> Iterator[Problem]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.pixels].append(record)
    copies = [group for group in groups.values() if len(group) > 1]
    contradictory = [group for group in copies if len({r.sample.is_good for r in group}) == 2]
    leaking = [group for group in copies if len({r.sample.part for r in group}) == 2]
    for group in contradictory:
        one, other = (
            group[0].sample,
            next(r.sample for r in group if r.sample.is_good != group[0].sample.is_good),
        )
        message = f"the same pixels are {one.kind} here and {other.kind} in {other.path}"
        yield Problem("warning", one.path, message, "remove the wrong one")
    if leaking:
        message = f"{_these([g[0] for g in leaking])} are in {TRAIN} and in {TEST} with the same pixels"
        yield Problem(
            "warning", leaking[0][0].sample.path, message, "a split excludes such copies from the test"
        )
    if surplus := sum(len(group) - 1 for group in copies):
        message = f"{surplus} images are exact copies of others"
        yield Problem("note", copies[0][1].sample.path, message, "a split keeps copies together")


def _variety(records: Sequence[Record], settings: DataSettings) -> Iterator[Problem]:
    sizes = sorted({(r.height, r.width) for r in records})
    if len(sizes) > 1:
        ratios = [width / height for height, width in sizes]
        message = f"images have {len(sizes)} different sizes"
        if max(ratios) > 1.2 * min(ratios) and not settings.keep_aspect:
            cure = "they are stretched to one; data.keep_aspect=true keeps their proportions"
            yield Problem("warning", None, f"{message} and shapes", cure)
        else:
            yield Problem("note", None, message, "all are resized to one")
    if len({r.bits for r in records}) > 1:
        cure = "make sure that the same camera setting made them"
        yield Problem("warning", None, "some images have 8 bits and some 16", cure)
    colours = {r.channels >= 3 for r in records}
    if len(colours) > 1:
        cure = "gray ones are read as colour; better convert all to one"
        yield Problem("warning", None, "some images are gray and some have colour", cure)


def _amount(dataset: Dataset) -> Iterator[Problem]:
    good = sum(s.is_good and (s.part == TRAIN or not dataset.has_test) for s in dataset.samples)
    if good < FEW_GOOD:
        message = f"only {good} good images to train from"
        yield Problem("warning", None, message, f"add more, {FEW_GOOD} at least")
    if not dataset.kinds:
        yield Problem("note", None, "no defect images", "train with --seen 0; nothing can be measured")


def _these(records: Sequence[Record]) -> str:
    names = ", ".join(record.sample.path.name for record in records[:_NAMED])
    more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
    return f"{len(records)} images ({names}{more})"
