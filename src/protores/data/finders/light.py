"""Light that drifts: folders whose images are brighter, more colourful or harder than the good ones that train."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protores.data.findings import Problem
from protores.data.layouts import TRAIN
from protores.data.sample import GOOD
from protores.data.scan import Scan

FEWEST = 8
"""Images of a folder, below which its median says little."""
SPREADS = 2.0
"""Robust standard deviations of the good training images that a folder's median may be off."""
LEVELS = 5.0
"""Gray levels, of 255, that nobody minds."""
ALIKE = 3.0
"""Levels between the shifts of red, green and blue, up to which they are one shift of brightness."""


def light(scan: Scan) -> Iterator[Problem]:
    """Medians of brightness, colour and contrast by folder and kind, against those of the good training images.

    A defect is small beside its image, and a median does not see it. Where the layout has no test part, folders are
    held against all good images.
    """
    groups: dict[tuple[str, str], list[tuple[Path, tuple[float, ...]]]] = defaultdict(list)
    usual = []
    for record, look in scan.pairs():
        sample, values = record.sample, (*look.levels, look.contrast)
        groups[_folder(sample.path, scan.dataset.root), sample.kind].append((sample.path, values))
        if sample.is_good and (sample.part == TRAIN or not scan.dataset.has_test):
            usual.append(values)
    if len(usual) < FEWEST:
        return
    centre = np.median(usual, axis=0)
    spread = 1.4826 * np.median(np.abs(usual - centre), axis=0)
    bound = np.maximum(SPREADS * spread, LEVELS)
    for (folder, kind), members in sorted(groups.items()):
        if len(members) < FEWEST:
            continue
        off = np.median([values for _, values in members], axis=0) - centre
        told = " and ".join(_differences(off, np.abs(off) > bound))
        if told:
            rule = "light-drift" if kind == GOOD else "light-of-defects"
            message = f"the {len(members)} {kind} images of {folder} have {told} than the good ones that train"
            yield Problem.of(rule, [path for path, _ in members], message)


def _folder(path: Path, root: Path) -> str:
    return (path.parent.relative_to(root) if path.is_relative_to(root) else path.parent).as_posix()


def _differences(off: NDArray[np.float64], is_off: NDArray[np.bool_]) -> Iterator[str]:
    """off: shifts of red, green, blue and contrast in gray levels; is_off: which of them are to be told."""
    if is_off[:3].any() and np.ptp(off[:3]) <= ALIKE:
        yield _amount(off[:3].mean(), "brightness")
    else:
        names = ("red", "green", "blue")
        yield from (_amount(off[i], name) for i, name in enumerate(names) if is_off[i])
    if is_off[3]:
        yield _amount(off[3], "contrast")


def _amount(shift: float, of: str) -> str:
    return f"{abs(shift):.0f} gray levels {'more' if shift > 0 else 'less'} {of}"
