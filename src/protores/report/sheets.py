"""The two sheets of a run: what it learns from (preview) and what it finds (results)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.report.heatmap import FOUND, TRUTH, colour, colour_bar, contours, overlay, resize_mask
from protores.report.sheet import Cell, Row, fit, sheet

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Pair = tuple[Image, Mask]


@dataclass(frozen=True)
class Entry:
    """A judged image: uint8 H x W x 3, its map float32 H x W and score in [0, 1], and what is known of it.

    mask: uint8 H x W of {0, 1}, or None where the image has none. title and kind are for the caption.
    """

    image: Image
    mask: Mask | None
    anomaly_map: NDArray[np.float32]
    score: float
    title: str
    kind: str


def preview_sheet(
    good: Sequence[Image],
    foregrounds: Sequence[Mask],
    simulated: Sequence[Pair],
    seen: Sequence[Pair],
    extended: Sequence[Pair],
    title: str = "Preview",
    cell: int = 256,
) -> Image:
    """Good images, their foregrounds (masks of the first ones), and three kinds of anomalies with outlines.

    Images are uint8 H x W x 3, masks uint8 H x W of {0, 1}. Rows of nothing are left out.
    """
    pairs = zip(good, foregrounds, strict=False)
    rows = [
        Row("Good images", [Cell(fit(image, cell)) for image in good]),
        Row("Foreground: what lies outside is dark", [_foreground(i, mask, cell) for i, mask in pairs]),
        *_wrapped("Simulated anomalies", simulated, cell, len(good)),
        *_wrapped("Seen defects", seen, cell, len(good)),
        *_wrapped("Extended anomalies, from the seen defects", extended, cell, len(good)),
    ]
    return sheet(rows, title, cell)


def result_sheet(
    entries: Sequence[Entry],
    threshold: float | None = None,
    low: float = 0.0,
    high: float = 1.0,
    title: str = "Results",
    cell: int = 256,
    beside: int = 2,
) -> Image:
    """Per entry, in the order given: image with the known outline, heat map, overlay with the found outline.

    low and high: the map values at the ends of the one colour scale. threshold: the map value from which on
    the overlay is outlined, None for no outline. beside: entries in a row.
    """
    cells = [_judged(entry, threshold, low, high, cell) for entry in entries]
    rows = [
        Row("", [c for group in cells[k : k + beside] for c in group]) for k in range(0, len(cells), beside)
    ]
    key = Cell(colour_bar(160, 14), f"cyan: known   magenta: found   scale {low:.2g} to {high:.2g}")
    return sheet(rows, title, cell, key)


def _wrapped(title: str, pairs: Sequence[Pair], cell: int, columns: int) -> list[Row]:
    cells = [_outlined(*pair, cell) for pair in pairs]
    starts = range(0, len(cells), max(1, columns))
    return [Row("" if start else title, cells[start : start + max(1, columns)]) for start in starts]


def _foreground(image: Image, mask: Mask, cell: int) -> Cell:
    picture = fit(image, cell)
    inside = resize_mask(mask, picture.shape)
    dark = np.where(inside[..., None] > 0, picture, picture // 3).astype(np.uint8)
    return Cell(contours(dark, inside), f"{100 * float(np.mean(np.asarray(mask) > 0)):.0f} % of the image")


def _outlined(image: Image, mask: Mask, cell: int) -> Cell:
    return Cell(contours(fit(image, cell), mask), f"{np.count_nonzero(mask)} pixels")


def _judged(
    entry: Entry, threshold: float | None, low: float, high: float, cell: int
) -> tuple[Cell, Cell, Cell]:
    picture = fit(entry.image, cell)
    size = (picture.shape[1], picture.shape[0])
    grown = np.asarray(cv2.resize(entry.anomaly_map, size, interpolation=cv2.INTER_LINEAR), np.float32)
    found = overlay(picture, grown, low, high)
    if threshold is not None:
        found = contours(found, (grown >= threshold).astype(np.uint8), FOUND)
    known = picture if entry.mask is None else contours(picture, entry.mask, TRUTH)
    return (
        Cell(known, f"{entry.kind}  {entry.title}".strip()),
        Cell(colour(grown, low, high), f"highest {float(np.max(entry.anomaly_map)):.3f}"),
        Cell(found, f"score {entry.score:.3f}"),
    )
