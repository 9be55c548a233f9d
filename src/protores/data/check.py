"""What is in a data set, how it is read, and what is wrong with it: all is read, nothing is changed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from protores.data.finders.copies import copies
from protores.data.finders.files import names, not_read, storage, unusable, wrong_ending
from protores.data.finders.light import light
from protores.data.finders.masks import masks
from protores.data.finders.near_copies import near_copies
from protores.data.finders.variety import amount, variety
from protores.data.findings import SEVERITIES, Count, Findings, Problem
from protores.data.image import probe_bit_depth
from protores.data.layouts import TRAIN, survey
from protores.data.look import Look
from protores.data.record import Record, Skipped, try_load
from protores.data.sample import Dataset, Sample
from protores.data.scan import Scan
from protores.data.store import Progress, in_parallel
from protores.settings import DataSettings

FINDERS: tuple[Callable[[Scan], Iterator[Problem]], ...] = (
    unusable,
    names,
    not_read,
    storage,
    wrong_ending,
    masks,
    copies,
    near_copies,
    variety,
    amount,
    light,
)
"""All that is looked for (docs/check.md)."""


def inspect(
    root: Path, settings: DataSettings, threads: int | None = None, progress: Progress | None = None
) -> Findings:
    """Read every image and mask below root and report. Raises DataError where root has no known layout."""
    found = survey(root)
    samples = found.dataset.samples
    depth = settings.bit_depth or probe_bit_depth([s.path for s in samples if s.is_good])

    def read(sample: Sample) -> tuple[Record, Look] | Skipped:
        loaded = try_load(sample, depth)
        return loaded if isinstance(loaded, Skipped) else (loaded.record, loaded.look)

    results = in_parallel(read, samples, threads, progress)
    known = [result for result in results if not isinstance(result, Skipped)]
    scan = Scan(
        survey=found,
        records=tuple(record for record, _ in known),
        looks=tuple(look for _, look in known),
        skipped=tuple(result for result in results if isinstance(result, Skipped)),
        settings=settings.model_copy(update={"bit_depth": depth}),
    )
    return findings(scan)


def findings(scan: Scan) -> Findings:
    """What the finders say of a data set that was read."""
    problems = [problem for find in FINDERS for problem in find(scan)]
    has_16_bits = any(r.bits == 16 for r in scan.records)
    return Findings(
        dataset=scan.dataset,
        counts=_counts(scan.dataset),
        sizes=_tally((r.height, r.width) for r in scan.records),
        bits=_tally(r.bits for r in scan.records),
        channels=_tally(r.channels for r in scan.records),
        bit_depth=scan.settings.bit_depth if has_16_bits else None,
        problems=tuple(sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))),
    )


def _counts(dataset: Dataset) -> tuple[Count, ...]:
    images = Counter((s.part, s.kind) for s in dataset.samples)
    masks = Counter((s.part, s.kind) for s in dataset.samples if s.mask is not None)
    order = sorted(images, key=lambda key: (key[0] != TRAIN, key[1] != "good", key[1]))
    return tuple(Count(part, kind, images[part, kind], masks[part, kind]) for part, kind in order)


def _tally(values: Iterable) -> tuple:
    return tuple(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
