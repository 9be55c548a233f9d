"""Extended anomalies: seen defects, changed in shape and look, pasted onto good images (docs/method.md).

A seen defect is kept as a small crop with its mask, one per group of spots, and all geometry together is one
remap of that crop, so the cost goes with the defect's size and not with the image's.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from protores.data.frames import Frames
from protores.settings import SynthesisSettings
from protores.synthesis import photometric
from protores.synthesis.anomaly import Anomaly, bounds, soft
from protores.synthesis.defect import CONTEXT, Defect, defects

LEAST_PIXELS = 4
PLACES = 8


@dataclass(frozen=True)
class Piece:
    """A changed defect: patch uint8 h x w x 3, mask uint8 h x w in {0, 1}, and the centre it comes from."""

    patch: np.ndarray
    mask: np.ndarray
    centre: tuple[float, float]


class Extender:
    """Pastes changed seen defects onto good images; holds no state that a call changes."""

    def __init__(self, images: Frames | np.ndarray, masks: Frames | np.ndarray, settings: SynthesisSettings) -> None:
        """images: uint8 M x H x W x 3; masks: uint8 M x H x W in {0, 1}, empty ones are left out."""
        self._seen = [found for found in map(defects, images, masks) if found]
        self._settings = settings

    def __len__(self) -> int:
        """Number of seen images with a defect."""
        return len(self._seen)

    def __call__(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Anomaly:
        """Some seen defects on an image uint8 H x W x 3 with its foreground uint8 H x W in {0, 1}.

        The mask is never empty, and outside of it the image is untouched. A foreground with nothing in it is
        taken for everywhere.
        """
        if not foreground.any():
            foreground = np.ones_like(foreground)
        room = self._settings.coverage * cv2.countNonZero(foreground)
        out, total = image.copy(), np.zeros_like(foreground)
        low, high = self._settings.pastes
        for _ in range(int(rng.integers(low, high + 1))):
            spots = self._seen[int(rng.integers(len(self._seen)))]
            defect = spots[int(rng.integers(len(spots)))]
            piece = self._look(self._bend(defect, room, rng), rng)
            placed = self._place(piece, foreground, rng)
            covered = cv2.countNonZero(total)
            if covered and covered + cv2.countNonZero(placed[1]) > room:
                continue
            self._paste(out, total, defect, piece, placed, rng)
        return Anomaly(out, total)

    def _bend(self, defect: Defect, room: float, rng: np.random.Generator) -> Piece:
        """All geometric operations as one remap, no larger than `room` pixels of mask; at least the mask's
        strongest pixel survives.
        """
        settings = self._settings
        height, width = defect.patch.shape[:2]
        scale = min(np.exp(rng.uniform(*np.log(settings.scale))), np.sqrt(room / defect.area))
        scale = max(scale, min(1.0, np.sqrt(LEAST_PIXELS / defect.area)))
        angle = 90.0 * int(rng.integers(1, 4)) if rng.random() < settings.quarter_turn else 0.0
        if rng.random() < settings.rotate:
            angle += rng.uniform(-settings.rotation, settings.rotation)
        mirror = -1.0 if rng.random() < settings.flip else 1.0
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        tall = int(np.ceil(scale * (abs(cos) * height + abs(sin) * width) - 1e-6))
        wide = int(np.ceil(scale * (abs(cos) * width + abs(sin) * height) - 1e-6))
        # Inverse map: a point of the new patch, measured from its middle, to the point of the old one.
        y = (np.arange(tall, dtype=np.float32) - (tall - 1) / 2)[:, None] / scale
        x = (np.arange(wide, dtype=np.float32) - (wide - 1) / 2)[None] / scale
        source_x = mirror * (cos * x + sin * y) + (width - 1) / 2
        source_y = cos * y - sin * x + (height - 1) / 2
        if rng.random() < settings.distort:
            move_y, move_x = _distortion((tall, wide), (height, width), settings.distortion, rng)
            source_x, source_y = source_x + move_x, source_y + move_y
        patch = cv2.remap(
            defect.patch,
            source_x.astype(np.float32),
            source_y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        strength = np.ascontiguousarray(patch[..., 3])
        mask = (strength >= 128).astype(np.uint8)
        if not mask.any():
            mask = (strength == max(1, int(strength.max()))).astype(np.uint8)
        if not mask.any():
            # A distortion has moved a single pixel between the samples.
            mask[tall // 2, wide // 2] = 1
        return Piece(np.ascontiguousarray(patch[..., :3]), mask, defect.centre)

    def _look(self, piece: Piece, rng: np.random.Generator) -> Piece:
        if rng.random() < self._settings.mild:
            return piece
        return Piece(photometric.each(piece.patch, self._settings.photometric, rng), piece.mask, piece.centre)

    def _place(
        self, piece: Piece, foreground: np.ndarray, rng: np.random.Generator
    ) -> tuple[tuple[int, int], np.ndarray]:
        """Row and column of the patch's corner in the image, and the mask there, H x W.

        In place where enough of it lies on the product, otherwise, and for a share of them always, anywhere
        on the product: the best of PLACES places, cut to the product if even there too little of it lies on
        it.
        """
        settings = self._settings
        need = settings.on_product * cv2.countNonZero(piece.mask)
        if rng.random() >= settings.moved:
            shift = settings.shift * rng.uniform(-1, 1, 2) * foreground.shape
            corner = _corner(piece, piece.centre[0] + shift[0], piece.centre[1] + shift[1])
            mask = _at(piece.mask, corner, foreground.shape)
            if cv2.countNonZero(cv2.bitwise_and(mask, foreground)) >= need:
                return corner, mask
        rows, columns = bounds(foreground)
        middle = bounds(piece.mask)
        best, most = None, -1
        for attempt in range(PLACES):
            if attempt < PLACES - 1:
                y = (
                    rng.uniform(rows.start, rows.stop)
                    + (piece.mask.shape[0] - middle[0].start - middle[0].stop) / 2
                )
                x = rng.uniform(columns.start, columns.stop)
                x += (piece.mask.shape[1] - middle[1].start - middle[1].stop) / 2
                corner = _corner(piece, y, x)
            elif most > 0:
                break
            else:
                corner = self._certain(piece, foreground, rng)
            mask = _at(piece.mask, corner, foreground.shape)
            lying = cv2.countNonZero(cv2.bitwise_and(mask, foreground))
            if lying > most:
                best, most = (corner, mask), lying
            if most >= need:
                break
        assert best is not None
        return best if most >= need else (best[0], best[1] & foreground)

    def _certain(self, piece: Piece, foreground: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
        """A corner which lays one of the mask's pixels onto one of the product's."""
        pixels, spots = np.argwhere(foreground), np.argwhere(piece.mask)
        target, spot = pixels[int(rng.integers(len(pixels)))], spots[int(rng.integers(len(spots)))]
        return int(target[0] - spot[0]), int(target[1] - spot[1])

    def _paste(
        self,
        out: np.ndarray,
        total: np.ndarray,
        defect: Defect,
        piece: Piece,
        placed: tuple[tuple[int, int], np.ndarray],
        rng: np.random.Generator,
    ) -> None:
        """Lays the piece onto out and its mask onto total, both in place."""
        (top, left), mask = placed
        settings = self._settings
        rows, columns = bounds(mask)
        source = np.ascontiguousarray(
            piece.patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        )
        target = np.ascontiguousarray(out[rows, columns])
        inside = mask[rows, columns]
        if rng.random() < settings.match_light:
            height, width = mask.shape
            margin = max(2, round(CONTEXT * max(height, width)))
            around = out[
                max(0, rows.start - margin) : rows.stop + margin,
                max(0, columns.start - margin) : columns.stop + margin,
            ]
            # One shift for all channels: lighting is matched, the defect's own colour stays.
            shift = float(np.mean(np.array(cv2.mean(np.ascontiguousarray(around))[:3]) - defect.surroundings))
            source = cv2.LUT(source, np.clip(np.arange(256) + round(shift), 0, 255).astype(np.uint8))
        opacity = 1.0 if rng.random() < settings.hard else rng.uniform(*settings.paste_blend)
        alpha = soft(inside, settings.feather) * np.float32(opacity)
        out[rows, columns] = cv2.blendLinear(source, target, alpha, 1 - alpha)
        total[rows, columns] |= inside


def _corner(piece: Piece, y: float, x: float) -> tuple[int, int]:
    """Row and column of the patch's corner when its middle is at y, x."""
    height, width = piece.mask.shape
    return round(y - (height - 1) / 2), round(x - (width - 1) / 2)


def _at(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """The patch's mask in an image of that size; what lies outside is cut off."""
    full = np.zeros(size, np.uint8)
    top, left = corner
    rows = slice(max(0, top), max(0, min(size[0], top + mask.shape[0])))
    columns = slice(max(0, left), max(0, min(size[1], left + mask.shape[1])))
    if rows.start < rows.stop and columns.start < columns.stop:
        full[rows, columns] = mask[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]
    return full


def _distortion(
    size: tuple[int, int], source: tuple[int, int], strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements in y and x, float32 of that size, at most strength x the source's sides: one of three
    kinds.
    """
    limit = np.float32(strength * rng.uniform(0.3, 1.0)) * np.array(source, np.float32)
    way = int(rng.integers(3))
    if way == 0:  # elastic: a smooth random field
        field = rng.uniform(-1, 1, (4, 4, 2)).astype(np.float32)
        field = cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        return field[..., 0] * limit[0], field[..., 1] * limit[1]
    if way == 1:  # grid: rows and columns stretched and squeezed piece by piece
        knots = np.linspace(-1, 1, 6)
        move_y = np.interp(np.linspace(-1, 1, size[0]), knots, rng.uniform(-1, 1, 6))[:, None]
        move_x = np.interp(np.linspace(-1, 1, size[1]), knots, rng.uniform(-1, 1, 6))[None]
        return (move_y * limit[0]).astype(np.float32), (move_x * limit[1]).astype(np.float32)
    # optical: barrel or cushion
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size[1], dtype=np.float32)[None]
    bulge = (x * x + y * y - 1) * np.float32(rng.choice((-1, 1)))
    return y * bulge * limit[0], x * bulge * limit[1]
