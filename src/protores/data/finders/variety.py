"""Variety and amount: sizes, depths and colours that differ, and too few images."""

from collections.abc import Iterator

from protores.data.findings import Problem
from protores.data.layouts import TEST, TRAIN
from protores.data.scan import Scan

FEW_GOOD = 20
FEW_TESTED = 10


def variety(scan: Scan) -> Iterator[Problem]:
    """Images that were not made alike."""
    sizes = sorted({(r.height, r.width) for r in scan.records})
    if len(sizes) > 1:
        ratios = [width / height for height, width in sizes]
        message = f"images have {len(sizes)} different sizes"
        if max(ratios) > 1.2 * min(ratios) and not scan.settings.keep_aspect:
            yield Problem.of("mixed-shapes", [], f"{message} and shapes")
        else:
            yield Problem.of("mixed-sizes", [], message)
    if len({r.bits for r in scan.records}) > 1:
        yield Problem.of("mixed-depths", [], "some images have 8 bits and some 16")
    if len({r.channels >= 3 for r in scan.records}) > 1:
        yield Problem.of("mixed-colours", [], "some images are gray and some have colour")


def amount(scan: Scan) -> Iterator[Problem]:
    """Too few images to train from or to test on."""
    dataset = scan.dataset
    good = sum(s.is_good and (s.part == TRAIN or not dataset.has_test) for s in dataset.samples)
    if good < FEW_GOOD:
        yield Problem.of("few-good", [], f"only {good} good images to train from")
    tested = sum(s.is_good and s.part == TEST for s in dataset.samples)
    if dataset.has_test and tested < FEW_TESTED:
        yield Problem.of("few-tested", [], f"only {tested} good images to test on")
    if not dataset.kinds:
        yield Problem.of("no-defects", [], "no defect images")
