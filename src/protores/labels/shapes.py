"""What people draw around a defect, and the pixels it covers.

Coordinates are pixels from the image's top left corner, x to the right and y down, so that the pixel in row r and
column c is the square from (c, r) to (c + 1, r + 1). A pixel belongs to a shape where its centre lies inside. What lies
outside the image is cut off. A shape that is too thin to hold any centre covers the pixels along its outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
Point = tuple[float, float]
_THINNEST = 0.71
"""Half the width of a line that leaves no gap on its way from pixel to pixel."""


@dataclass(frozen=True)
class Polygon:
    """A closed outline; where it crosses itself, what is enclosed twice is outside."""

    points: tuple[Point, ...]


@dataclass(frozen=True)
class Ellipse:
    """radii: along its own axes. turn: of these, degrees clockwise on the screen."""

    centre: Point
    radii: Point
    turn: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line through points: no tool notes a width, so the caller of `draw` gives it."""

    points: tuple[Point, ...]


@dataclass(frozen=True)
class Dots:
    """Single points, as wide as a line."""

    points: tuple[Point, ...]


@dataclass(frozen=True, eq=False)
class Bitmap:
    """Pixels, uint8 {0, 1} H x W, whose first one is that in column left and row top of the image."""

    pixels: Mask
    left: int = 0
    top: int = 0


Shape = Polygon | Ellipse | Line | Dots | Bitmap


def box(left: float, top: float, right: float, bottom: float) -> Polygon:
    """A rectangle by two of its corners."""
    return Polygon(((left, top), (right, top), (right, bottom), (left, bottom)))


def turned(polygon: Polygon, degrees: float, centre: Point) -> Polygon:
    """The polygon turned clockwise on the screen about a point."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    away = np.array(polygon.points) - centre
    points = away @ np.array([[cos, sin], [-sin, cos]]) + centre
    return Polygon(tuple((float(x), float(y)) for x, y in points))


def draw(shape: Shape, size: tuple[int, int], line_width: float) -> Mask:
    """The pixels, uint8 {0, 1}, that a shape covers in an image of size = (height, width). line_width: in pixels."""
    if isinstance(shape, Bitmap):
        return _paste(shape, size)
    if isinstance(shape, Line):
        return _trace(shape.points, size, max(line_width / 2, _THINNEST))
    if isinstance(shape, Dots):
        dots = [_trace((dot,), size, max(line_width / 2, _THINNEST)) for dot in shape.points]
        return np.bitwise_or.reduce(dots)
    points = shape.points if isinstance(shape, Polygon) else _outline(shape)
    mask = _fill(points, size) if isinstance(shape, Polygon) else _disc(shape, size)
    return mask if mask.any() else _trace((*points, points[0]), size, _THINNEST)


def _fill(points: Sequence[Point], size: tuple[int, int]) -> Mask:
    """By scan lines through the pixels' centres: each edge toggles all pixels to the right of where it crosses."""
    height, width = size
    toggles = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, (*points[1:], points[0]), strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        first, last = np.clip(np.ceil((y0 - 0.5, y1 - 0.5)), 0, height).astype(int)
        rows = np.arange(first, last)
        if len(rows):
            crossings = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            toggles[rows, np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]


def _disc(ellipse: Ellipse, size: tuple[int, int]) -> Mask:
    along, across = _within(ellipse.centre, ellipse.turn, size)
    a, b = (max(abs(radius), 1e-9) for radius in ellipse.radii)
    return ((along / a) ** 2 + (across / b) ** 2 <= 1).astype(np.uint8)


def _outline(ellipse: Ellipse) -> tuple[Point, ...]:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    (x, y), (a, b) = ellipse.centre, ellipse.radii
    around = Polygon(tuple((x + a * float(np.cos(t)), y + b * float(np.sin(t))) for t in angles))
    return turned(around, ellipse.turn, ellipse.centre).points


def _trace(points: Sequence[Point], size: tuple[int, int], radius: float) -> Mask:
    """All pixels whose centre is no further than the radius from the line."""
    mask = np.zeros(size, np.uint8)
    for start, end in zip(points, points[1:] or points, strict=False):
        low, high = np.floor(np.minimum(start, end) - radius), np.ceil(np.maximum(start, end) + radius)
        left, right = np.clip((low[0], high[0]), 0, size[1]).astype(int)
        top, bottom = np.clip((low[1], high[1]), 0, size[0]).astype(int)
        x, y = np.arange(left, right) + 0.5 - start[0], (np.arange(top, bottom) + 0.5 - start[1])[:, None]
        u, v = end[0] - start[0], end[1] - start[1]
        length = u * u + v * v
        share = np.clip((x * u + y * v) / length, 0, 1) if length else np.zeros(1)
        mask[top:bottom, left:right] |= (x - share * u) ** 2 + (y - share * v) ** 2 <= radius**2
    return mask


def _within(centre: Point, turn: float, size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pixels' centres, H x W each, in axes that are turned about a point."""
    x, y = np.arange(size[1]) + 0.5 - centre[0], (np.arange(size[0]) + 0.5 - centre[1])[:, None]
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return x * cos + y * sin, y * cos - x * sin


def _paste(bitmap: Bitmap, size: tuple[int, int]) -> Mask:
    mask = np.zeros(size, np.uint8)
    top, left = max(0, min(bitmap.top, size[0])), max(0, min(bitmap.left, size[1]))
    part = bitmap.pixels[max(0, -bitmap.top) :, max(0, -bitmap.left) :][: size[0] - top, : size[1] - left]
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask
