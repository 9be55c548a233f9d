"""Five things that go wrong with the toy product, each of a size and a contrast that vary.

A defect changes the board's labels or lays a film on it. Its mask is not drawn: it is where the photo with it
differs from the photo of the same board, in the same pose and light, without it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.toy.board import Board
from protores.toy.layout import BOTTOM, FIELD, HEADER, LEFT, RIGHT, TOP, TRACES, legs, sides
from protores.toy.materials import Label
from protores.toy.pen import Labels, Pen
from protores.toy.scene import Film, Image, Photo, Scene


@dataclass(frozen=True)
class Flaw:
    """A board gone wrong: its labels, and what lies on it."""

    labels: Labels
    films: tuple[Film, ...] = ()


def scratch(board: Board, labels: Labels, rng: np.random.Generator) -> Flaw:
    """A bent, uneven line that bares lighter laminate, through whatever is in its way."""
    pixels = len(labels)
    length, bend = rng.uniform(60, 380), rng.normal(0, 0.5)
    start = rng.uniform((LEFT + 30, TOP + 30), (RIGHT - 30, BOTTOM - 30))
    centre = np.array([(LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2])
    heading = np.arctan2(*(centre - start)[::-1]) + rng.normal(0, 0.7)
    headings = heading + np.linspace(0, bend, 24) + rng.normal(0, 0.06, 24)
    path = start + np.cumsum(np.stack([np.cos(headings), np.sin(headings)], 1), 0) * length / 24
    shape = np.zeros((pixels, pixels), np.uint8)
    width = max(rng.uniform(4.0, 9.0), 1.6 * FIELD / pixels)
    pen = Pen(shape)
    for a, b, press in zip(path[:-1], path[1:], rng.uniform(0.55, 1.1, 23), strict=True):
        pen.line([a, b], width * press, 255)
    shape[labels == Label.NOTHING] = 0
    x, y, w, h = cv2.boundingRect(shape)
    alpha = cv2.GaussianBlur(shape[y : y + h, x : x + w], (0, 0), 0.7) * (rng.uniform(0.5, 0.95) / 255)
    colour = ((206, 198, 168), (188, 150, 96), (196, 204, 196))[rng.integers(3)]
    return Flaw(labels, (Film(alpha.astype(np.float32), (y, x), colour),))


def missing_component(board: Board, labels: Labels, rng: np.random.Generator) -> Flaw:
    """A two-legged part was not placed: bare pads with solder are left."""
    names = [p.part.name for p in board.parts if p.part.shape not in ("quad", "octal")]
    return Flaw(board.labels(len(labels), without=names[rng.integers(len(names))]))


def solder_bridge(board: Board, labels: Labels, rng: np.random.Generator) -> Flaw:
    """Solder joins neighbouring legs or pins."""
    labels = labels.copy()
    span = int(rng.choice((2, 3, 4), p=(0.6, 0.25, 0.15)))
    if rng.random() < 0.25:
        at = rng.integers(len(HEADER) - span + 1)
        pen, row, reach = Pen(labels), HEADER[at : at + span], 12.0
    else:
        chip = board.parts[rng.integers(2)]
        side = int(rng.choice(sides(chip.part.shape)))
        tips = legs(chip.part.shape, side)
        at = rng.integers(len(tips) - span + 1)
        pen, row = chip.pen(labels), [(x * 0.97, y * 0.97) for x, y in tips[at : at + span]]
        reach = rng.uniform(7, 13)
    for a, b in zip(row[:-1], row[1:], strict=True):
        for share in np.linspace(0, 1, 7):
            waist = 1 - 0.35 * np.sin(np.pi * share)
            x, y = (np.array(a) * (1 - share) + np.array(b) * share + rng.normal(0, 1.2, 2)).tolist()
            pen.disc(x, y, reach * waist, Label.SOLDER)
    return Flaw(labels)


def broken_trace(board: Board, labels: Labels, rng: np.random.Generator) -> Flaw:
    """A gap in a track, etched or torn."""
    labels = labels.copy()
    bare = np.zeros_like(labels)
    while not bare.any():
        trace = TRACES[rng.integers(len(TRACES))]
        points = np.array(trace.points)
        k = rng.integers(len(points) - 1)
        a, b = points[k : k + 2]
        length = float(np.hypot(*(b - a)))
        if length < 30:
            continue
        along, across = (b - a) / length, np.array([a[1] - b[1], b[0] - a[0]]) / length
        middle, half = a + (b - a) * rng.uniform(0.25, 0.75), rng.uniform(7, 24)
        lean = across * (trace.width * 0.5 + 4) + along * rng.normal(0, 3)
        shape = np.zeros_like(labels)
        jag = rng.normal(0, 2.0, (4, 2))
        corners = [middle + s * half * along + t * lean for s, t in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
        Pen(shape).polygon(np.array(corners) + jag, 1)
        bare = (shape == 1) & (labels == Label.TRACE)
    labels[bare] = Label.MASK
    if rng.random() < 0.5:  # torn: the laminate shows
        x, y, w, h = cv2.boundingRect(bare.astype(np.uint8))
        alpha = bare[y : y + h, x : x + w].astype(np.float32) * np.float32(rng.uniform(0.4, 0.8))
        return Flaw(labels, (Film(alpha, (y, x), (150, 136, 92)),))
    return Flaw(labels)


def contamination(board: Board, labels: Labels, rng: np.random.Generator) -> Flaw:
    """A stain with a ragged outline and a darker or lighter rim: flux, oil, a finger."""
    unit = len(labels) / FIELD
    radius = float(np.exp(rng.uniform(np.log(15), np.log(95))))
    x, y = rng.uniform((LEFT + radius, TOP + radius), (RIGHT - radius, BOTTOM - radius))
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.6)
    reach = 1.7 * stretch * radius
    left, top = max(0, int((x - reach) * unit)), max(0, int((y - reach) * unit))
    under = labels[top : int((y + reach) * unit) + 1, left : int((x + reach) * unit) + 1]
    rows, columns = np.mgrid[: under.shape[0], : under.shape[1]].astype(np.float32) / np.float32(unit)
    columns, rows = columns + left / unit - x, rows + top / unit - y
    u = columns * np.cos(turn) + rows * np.sin(turn)
    v = rows * np.cos(turn) - columns * np.sin(turn)
    distance = np.hypot(u / stretch, v * stretch) / radius
    ragged = rng.normal(0, 0.22, (6, 6)).astype(np.float32)
    inside = 1 - distance + cv2.resize(ragged, under.shape[::-1], interpolation=cv2.INTER_CUBIC)
    alpha = np.clip(inside / rng.uniform(0.1, 0.35), 0, 1) * (distance < 1.7)
    alpha *= 1 - 0.3 * np.clip(inside, 0, 1)  # a dried drop is densest at its rim
    alpha *= rng.uniform(0.35, 0.75) * (under != Label.NOTHING)
    colour = ((116, 92, 44), (66, 52, 36), (176, 174, 158), (150, 120, 60))[rng.integers(4)]
    return Flaw(labels, (Film(alpha.astype(np.float32), (top, left), colour),))


Maker = Callable[[Board, Labels, np.random.Generator], Flaw]
MAKERS: dict[str, Maker] = {
    "broken_trace": broken_trace,
    "contamination": contamination,
    "missing_component": missing_component,
    "scratch": scratch,
    "solder_bridge": solder_bridge,
}
KINDS = tuple(MAKERS)
"""The five kinds of defects, sorted."""

VISIBLE = 9.0
"""Levels that a pixel has to differ by to be part of a defect."""
CLEAR = 20.0
"""Levels that the clearest pixel of a defect differs by at least, so that a careful person sees it."""


def difference(clean: Photo, flawed: Photo) -> NDArray[np.uint8]:
    """Mask, uint8 H x W of {0, 1}, of where two photos visibly differ; empty if nowhere clearly enough."""
    far = np.abs(clean - flawed).max(axis=2)
    if far.max() < CLEAR:
        return np.zeros(far.shape, np.uint8)
    mask = cv2.morphologyEx((far > VISIBLE).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    small = np.flatnonzero(areas < min(4, areas.max())) + 1
    mask[np.isin(parts, small)] = 0
    return np.asarray(mask, np.uint8)


def spoil(
    kind: str, board: Board, scene: Scene, labels: Labels, size: int, rng: np.random.Generator
) -> tuple[Image, NDArray[np.uint8]]:
    """The picture of a board with one defect, and its mask; drawn again until a person could see it."""
    clean = scene.photograph(board, labels, size)
    while True:
        flaw = MAKERS[kind](board, labels, rng)
        photo = scene.photograph(board, flaw.labels, size, flaw.films)
        mask = difference(clean, photo)
        if mask.any():
            return scene.expose(photo), mask
