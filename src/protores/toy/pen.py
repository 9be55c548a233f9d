"""Draws shapes, in the layout's units, into a map of labels: hard edges, because labels do not mix."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from protores.toy.layout import FIELD, Point

Labels = NDArray[np.uint8]


class Pen:
    """Draws in a frame: its origin in units, its turn in degrees."""

    def __init__(self, labels: Labels, origin: Point = (0.0, 0.0), turn: float = 0.0) -> None:
        self.labels = labels
        self.scale = labels.shape[0] / FIELD
        self.origin = origin
        self.turn = turn
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        self._frame = np.array([[c, s], [-s, c]])

    def at(self, points: ArrayLike) -> NDArray[np.float64]:
        """Points of this frame in the field's units."""
        return np.asarray(points, np.float64) @ self._frame + self.origin

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        """Pixels with four binary places, as OpenCV's shift=4 has them."""
        return np.round((self.at(points) * self.scale - 0.5) * 16).astype(np.int32)

    def polygon(self, points: ArrayLike, label: int) -> None:
        cv2.fillPoly(self.labels, [self._fixed(points)], int(label), cv2.LINE_8, 4)

    def box(self, x: float, y: float, width: float, height: float, label: int) -> None:
        w, h = width / 2, height / 2
        self.polygon([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)], label)

    def line(self, points: ArrayLike, width: float, label: int) -> None:
        pixels = max(1, round(width * self.scale))
        cv2.polylines(self.labels, [self._fixed(points)], False, int(label), pixels, cv2.LINE_8, 4)

    def disc(self, x: float, y: float, radius: float, label: int) -> None:
        u, v = self._fixed((x, y)).tolist()
        reach = max(8, round(radius * self.scale * 16))
        cv2.circle(self.labels, (u, v), reach, int(label), -1, cv2.LINE_8, 4)

    def text(self, x: float, y: float, text: str, height: float, label: int) -> None:
        """Upright text of that cap height around (x, y); left out where it would be a smear."""
        scale = height * self.scale / 22.0
        if scale < 0.2:
            return
        thickness = max(1, round(2.4 * scale))
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        ink = np.zeros((h + 8, w + 8), np.uint8)
        cv2.putText(ink, text, (4, h + 4), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness)
        u, v = self.at((x, y)) * self.scale
        left, top = max(round(u - ink.shape[1] / 2), 0), max(round(v - ink.shape[0] / 2), 0)
        window = self.labels[top : top + ink.shape[0], left : left + ink.shape[1]]
        window[ink[: window.shape[0], : window.shape[1]] > 100] = label
