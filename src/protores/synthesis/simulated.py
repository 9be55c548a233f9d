"""Simulated anomalies, for defects that nobody has seen (docs/method.md).

Perlin outlines filled with foreign textures or with the image's own shuffled patches are the literature's way
and the main kind here. The others stand for what such blobs never look like: thin strips, misplaced
structure, bends and tears, blurred or badly lit spots.
"""

from collections.abc import Callable

import cv2
import numpy as np

from protores.settings import SynthesisSettings
from protores.synthesis import photometric
from protores.synthesis.anomaly import Anomaly, blend, visible
from protores.synthesis.perlin import perlin_mask
from protores.synthesis.textures import Textures

TRIES = 24
KIND_TRIES = 4
PATCHES = 8
SELF_OPERATIONS = 3
VISIBLE_SHARE = 0.7
STRUCTURAL_VISIBLE = 2.0
LEAST_PIXELS = 4
LEAST_FALLBACK_CHANGE = 24

Candidate = tuple[np.ndarray, np.ndarray]
"""A changed image and the mask, {0, 1}, of where it may differ."""


class Simulator:
    """Draws simulated anomalies; holds no state that a call changes."""

    def __init__(self, textures: Textures, is_object: bool, settings: SynthesisSettings) -> None:
        self._textures = textures
        self._settings = settings
        self._self_share = settings.self_object if is_object else settings.self_texture
        makers: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Candidate]] = {
            "perlin": self._perlin,
            "scar": self._scar,
            "cutpaste": self._cutpaste,
            "warp": self._warp,
            "light": self._light,
        }
        self._makers = [makers[name] for name in settings.kinds]
        self._cumulative = np.cumsum(list(settings.kinds.values()))

    def __call__(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Anomaly:
        """One anomaly on an image uint8 H x W x 3, inside its foreground uint8 H x W in {0, 1}.

        Candidates are drawn again until one lies in the foreground, has a legal area and is visible over most
        of it. The kind is kept for KIND_TRIES (a bend shows nothing on a plain surface), then it is Perlin's
        turn, and after TRIES a plain blob ends it. The mask is never empty, and outside of it the image is
        untouched. A foreground with nothing in it is taken for everywhere.
        """
        if not foreground.any():
            foreground = np.ones_like(foreground)
        kind = self._makers[
            int(np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], side="right"))
        ]
        least = max(LEAST_PIXELS, self._settings.area[0] * foreground.size)
        most = self._settings.area[1] * foreground.size
        for attempt in range(TRIES):
            make = kind if attempt < KIND_TRIES else self._perlin
            changed, mask = make(image, foreground, rng)
            area = int(np.count_nonzero(mask))
            if not least <= area <= most:
                continue
            # What is moved within the image differs by the surface's own grain, so it has to differ by more.
            structural = make in (self._cutpaste, self._warp)
            seen = visible(
                image, changed, mask, self._settings.visible * (STRUCTURAL_VISIBLE if structural else 1.0)
            )
            left = int(np.count_nonzero(seen))
            if left >= max(least, VISIBLE_SHARE * area):
                return Anomaly(_keep(image, changed, seen), seen)
        return self._blob(image, foreground, rng)

    def _fill(
        self, image: np.ndarray, source: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        opacity = 1 - rng.uniform(*self._settings.blend)
        return blend(image, source, mask, opacity, self._settings.feather)

    def _perlin(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Candidate:
        """The literature's: a Perlin outline, foreign texture or the image itself, shuffled."""
        settings = self._settings
        mask = foreground & perlin_mask(
            image.shape[:2], settings.perlin_octaves, settings.perlin_angle, settings.perlin_cut, rng
        )
        if rng.random() < settings.perlin_spots:
            mask = _spots(mask, int(rng.integers(1, 4)), rng)
        if not mask.any():
            return image, mask
        if rng.random() < self._self_share:
            source = shuffled(photometric.some(image, SELF_OPERATIONS, rng), PATCHES, rng)
        else:
            source = self._textures.draw(rng)
        return self._fill(image, source, mask, rng), mask

    def _scar(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Candidate:
        """A thin curved strip, dark, bright or textured: scratch, crack, hair, thread."""
        mask = cv2.bitwise_and(_strip(image.shape[:2], _anchor(foreground, rng), rng), foreground)
        if rng.random() < 0.5:
            return self._fill(image, self._textures.draw(rng), mask, rng), mask
        tone = np.array(cv2.mean(image, mask)[:3]) + rng.choice((-1, 1)) * rng.uniform(30, 120)
        source = np.empty_like(image)
        source[:] = np.clip(tone, 0, 255).astype(np.uint8)
        return self._fill(image, source, mask, rng), mask

    def _cutpaste(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Candidate:
        """A piece of the image itself in the wrong place, mirrored or not, sometimes in another light."""
        height, width = foreground.shape
        mask = cv2.bitwise_and(_shape(foreground, (0.05, 0.2), rng), foreground)
        shift_y, shift_x = (int(rng.integers(n // 16, n - n // 16)) for n in (height, width))
        source = np.roll(image, (shift_y, shift_x), (0, 1))
        if rng.random() < 0.5:
            source = cv2.flip(source, int(rng.integers(-1, 2)))
        if rng.random() < 0.5:
            source = photometric.some(source, 1, rng)
        return blend(image, source, mask, rng.uniform(0.6, 1.0), self._settings.feather), mask

    def _warp(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Candidate:
        """The image itself, bent smoothly, twisted, or torn along a line, inside a round spot."""
        height, width = foreground.shape
        y, x = _anchor(foreground, rng)
        radius = rng.uniform(0.05, 0.16) * max(height, width)
        top, left = max(0, int(y - radius)), max(0, int(x - radius))
        bottom, right = min(height, int(y + radius) + 1), min(width, int(x + radius) + 1)
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        dy, dx = rows - y, columns - x
        fall = np.clip(1 - (dx * dx + dy * dy) / radius**2, 0, 1) ** 2
        angle = rng.uniform(0, 2 * np.pi)
        strength = rng.uniform(0.2, 0.6) * radius
        way = int(rng.integers(3))
        if way == 1:
            turn = fall * rng.choice((-1, 1)) * rng.uniform(0.5, 1.8)
            cos, sin = np.cos(turn), np.sin(turn)
            move_x, move_y = cos * dx - sin * dy - dx, sin * dx + cos * dy - dy
        else:
            push = fall * strength
            if way == 2:
                push = np.sqrt(fall) * strength * np.sign(dx * np.sin(angle) - dy * np.cos(angle))
            move_x, move_y = push * np.cos(angle), push * np.sin(angle)
        bent = cv2.remap(
            image,
            (columns + move_x).astype(np.float32),
            (rows + move_y).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        mask = np.zeros_like(foreground)
        mask[top:bottom, left:right] = np.hypot(move_x, move_y) > 1
        mask &= foreground
        changed = image.copy()
        changed[top:bottom, left:right] = bent
        return _keep(image, changed, mask), mask

    def _light(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Candidate:
        """A spot that is blurred away, too dark or too bright: worn, wet, stained, missing."""
        mask = cv2.bitwise_and(_shape(foreground, (0.03, 0.15), rng), foreground)
        if rng.random() < 0.5:
            sigma = max(1.5, rng.uniform(0.01, 0.05) * max(foreground.shape))
            # A box twice is near enough to a Gaussian and does not slow down with sigma.
            window = (2 * int(sigma) + 1, 2 * int(sigma) + 1)
            source = cv2.blur(cv2.blur(image, window), window)
        else:
            source = image
        levels = np.arange(256) * rng.uniform(0.5, 1.5) + rng.uniform(-30, 30)
        source = cv2.LUT(source, np.clip(levels, 0, 255).astype(np.uint8))
        feather = max(self._settings.feather, rng.uniform(0, 3))
        return blend(image, source, mask, rng.uniform(0.6, 1.0), feather), mask

    def _blob(self, image: np.ndarray, foreground: np.ndarray, rng: np.random.Generator) -> Anomaly:
        """The last resort, always visible: a disc at a foreground pixel, its levels moved far away."""
        y, x = _anchor(foreground, rng)
        radius = max(2, round(rng.uniform(0.01, 0.04) * max(foreground.shape)))
        mask = np.zeros_like(foreground)
        cv2.circle(mask, (x, y), radius, 1, cv2.FILLED)
        mask &= foreground
        move = rng.uniform(LEAST_FALLBACK_CHANGE, 96)
        levels = np.arange(256)
        moved = np.where(levels < 128, levels + move, levels - move).astype(np.uint8)
        return Anomaly(_keep(image, cv2.LUT(image, moved), mask), mask)


def shuffled(image: np.ndarray, patches: int, rng: np.random.Generator) -> np.ndarray:
    """The image cut into patches x patches pieces which change places."""
    height, width = image.shape[:2]
    tall, wide = max(1, -(-height // patches)), max(1, -(-width // patches))
    if (tall * patches, wide * patches) != (height, width):
        image = cv2.resize(image, (wide * patches, tall * patches), interpolation=cv2.INTER_LINEAR)
    pieces = image.reshape(patches, tall, patches, wide, 3).transpose(0, 2, 1, 3, 4)
    mixed = pieces.reshape(patches * patches, tall, wide, 3)[rng.permutation(patches * patches)]
    mixed = mixed.reshape(patches, patches, tall, wide, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(mixed.reshape(tall * patches, wide * patches, 3)[:height, :width])


def _keep(image: np.ndarray, changed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """changed inside the mask, image outside of it."""
    out = image.copy()
    cv2.copyTo(changed, mask, out)
    return out


def _anchor(foreground: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Row and column of a random foreground pixel."""
    height, width = foreground.shape
    for _ in range(4):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        if foreground[y, x]:
            return y, x
    pixels = np.flatnonzero(foreground)
    return divmod(int(pixels[int(rng.integers(len(pixels)))]), width)


def _spots(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most `count` of the mask's connected spots."""
    labels_count, labels = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_16U)
    if labels_count - 1 <= count:
        return mask
    kept = np.zeros(labels_count, np.uint8)
    kept[1 + rng.permutation(labels_count - 1)[:count]] = 1
    return kept[np.asarray(labels, np.intp)]


def _strip(size: tuple[int, int], start: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random walk with slowly turning direction, drawn 1 to about 4 pixels (of 256) thick."""
    side = max(size)
    steps = int(rng.integers(6, 24))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.standard_normal(steps) * rng.uniform(0, 0.5))
    length = rng.uniform(0.05, 0.6) * side / steps
    x = start[1] + np.concatenate([[0], np.cumsum(np.cos(heading)) * length])
    y = start[0] + np.concatenate([[0], np.cumsum(np.sin(heading)) * length])
    mask = np.zeros(size, np.uint8)
    points = np.stack([x, y], 1).round().astype(np.int32)
    cv2.polylines(mask, [points], False, 1, max(1, round(rng.uniform(1, 4.5) * side / 256)))
    return mask


def _shape(foreground: np.ndarray, radius: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """A turned rectangle, an ellipse or a bumpy blob around a foreground pixel; radius in longer sides."""
    y, x = _anchor(foreground, rng)
    side = max(foreground.shape)
    half = rng.uniform(*radius) * side / 2 * 2.0 ** rng.uniform(-1, 1, 2)
    mask = np.zeros_like(foreground)
    way = int(rng.integers(3))
    angle = rng.uniform(0, 180)
    if way == 0:
        corners = cv2.boxPoints(((float(x), float(y)), (2 * half[0], 2 * half[1]), angle))
        cv2.fillPoly(mask, [corners.round().astype(np.int32)], 1)
    elif way == 1:
        axes = (max(1, round(half[0])), max(1, round(half[1])))
        cv2.ellipse(mask, (x, y), axes, angle, 0, 360, 1, cv2.FILLED)
    else:
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        waves = np.arange(2, 6)[:, None]
        bumps = rng.standard_normal((4, 1)) * np.sin(waves * turn + rng.uniform(0, 2 * np.pi, (4, 1))) / waves
        reach = np.clip(1 + bumps.sum(0) * 0.7, 0.2, 2)
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        u, v = half[0] * reach * np.cos(turn), half[1] * reach * np.sin(turn)
        points = np.stack([x + cos * u - sin * v, y + sin * u + cos * v], 1)
        cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return mask
