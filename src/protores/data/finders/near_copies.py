"""Near copies: one photo in training and in test, saved again, resized, brightened, or taken twice of the same part.

Good parts of a well-fixtured product look alike, so likeness alone says nothing. What different parts have in common
is taken away first: the mean image under any tone curve, and the directions in which the product varies most (a shift
in the fixture, a glint that wanders) are shrunk to the size of the others. What is left of two different parts is
nearly unrelated, and of the same part much the same. The bar is then set by the product's own nearest neighbours.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.findings import Problem
from protores.data.layouts import TEST
from protores.data.scan import Scan

FEWEST = 8
"""Images on either side, below which there is no own measure."""
COMMON = 64
"""Directions of variation that are shrunk, at most, and at most a quarter of the images."""
DETAIL = 2.0
"""Blur in pixels of the thumbnail; coarser differences are taken for light and left out."""
LEAST_DETAIL = 0.5
"""Length of an image's own detail, in gray levels, below which it is rounding."""
LEAST = 0.6
"""Similarity below which nothing is a near copy."""
SPREADS = 6.0
"""How far above the ordinary a similarity has to be, in robust standard deviations."""
ORDINARY = 0.99
"""Share of all pairs that are certainly of different parts."""
_CHUNK = 512
_SAMPLE = 1 << 20


def near_copies(scan: Scan) -> Iterator[Problem]:
    """The nearest image of each test image in the training part, where it is nearer than different parts are.

    Where the layout has no test part, each image's nearest among all others, each pair once.
    """
    if scan.dataset.has_test:
        tested = np.array([record.sample.part == TEST for record in scan.records])
        rows, columns = np.flatnonzero(tested), np.flatnonzero(~tested)
    else:
        rows = columns = np.arange(len(scan.records))
    if min(len(rows), len(columns)) < FEWEST:
        return
    portraits = distinctive(np.stack([look.thumb for look in scan.looks]))
    pixels = np.unique([record.pixels for record in scan.records], return_inverse=True)[1]
    nearest, likeness, ordinary = _nearest(portraits, pixels, rows, columns)
    bar = similarity_bar(likeness, ordinary)
    for row in np.argsort(-likeness, kind="stable"):
        one, other = rows[row], nearest[row]
        if likeness[row] <= bar:
            return
        if not scan.dataset.has_test and nearest[other] == one and other < one:
            continue
        paths = [scan.records[i].sample.path for i in (one, other)]
        message = f"shows what {paths[1]} shows (similarity {likeness[row]:.2f}, different parts stay below {bar:.2f})"
        yield Problem.of("near-copy", paths, message)


def distinctive(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each of N thumbnails (N x SIDE x SIDE) has of its own: N unit vectors, whose products are similarities."""
    mean = thumbs.mean(axis=0) / 255
    common, _ = np.linalg.qr(_fine(np.stack([mean, mean**2, mean**3])).T)
    own = _fine(thumbs)
    own = _unit(own - own @ common @ common.T, LEAST_DETAIL)
    own -= own.mean(axis=0)
    values, directions = _principal(own)
    most = min(COMMON, len(own) // 4, len(values) - 1)
    keep = np.sqrt(values[most] / np.maximum(values[:most], 1e-12))
    own -= (own @ directions[:, :most] * (1 - keep)) @ directions[:, :most].T
    return _unit(own)


def similarity_bar(likeness: NDArray[np.float64], ordinary: float) -> float:
    """The similarity above which two images are near copies.

    likeness: of each image's nearest neighbour; ordinary: that of the 99th of 100 pairs. By Fisher's transform, which
    makes correlations comparable; the lower of two bars, since where most images have a twin (each part was
    photographed several times) their neighbours are no measure, and the pairs still are.
    """
    own = np.arctanh(np.clip(likeness, -0.9999, 0.9999))
    median = np.median(own)
    spread = 1.4826 * np.median(np.abs(own - median))
    by_pairs = SPREADS * np.arctanh(np.clip(ordinary, 0, 0.9999))
    return float(max(LEAST, np.tanh(min(median + SPREADS * spread, by_pairs))))


def _nearest(
    portraits: NDArray[np.float32], pixels: NDArray[np.int64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """For each row its most similar column (an index of all), the similarity, and that of the 99th of 100 pairs.

    Exact copies, an image itself among them, are left out: they are found by their pixels.
    """
    nearest, likeness = np.empty(len(rows), np.int64), np.empty(len(rows))
    sampled, step = [], max(1, len(rows) * len(columns) // _SAMPLE)
    for start in range(0, len(rows), _CHUNK):
        own = rows[start : start + _CHUNK]
        found = portraits[own] @ portraits[columns].T
        found[pixels[own][:, None] == pixels[columns]] = -1
        best = found.argmax(axis=1)
        nearest[start : start + len(own)] = columns[best]
        likeness[start : start + len(own)] = found[np.arange(len(own)), best]
        sampled.append(found.ravel()[::step])
    return nearest, likeness, float(np.quantile(np.concatenate(sampled), ORDINARY))


def _principal(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Eigenvalues (descending) and eigenvectors (D x min(N, D)) of the scatter of N x D points, by the smaller side."""
    if len(points) >= points.shape[1]:
        values, vectors = np.linalg.eigh(points.T @ points)
        return values[::-1], vectors[:, ::-1]
    values, vectors = np.linalg.eigh(points @ points.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    return values, points.T @ vectors / np.sqrt(np.maximum(values, 1e-12))


def _fine(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thumbnails less their blur, flat."""
    return np.stack([thumb - cv2.GaussianBlur(thumb, (0, 0), DETAIL) for thumb in thumbs]).reshape(len(thumbs), -1)


def _unit(points: NDArray[np.float32], least: float = 1e-6) -> NDArray[np.float32]:
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), least)
