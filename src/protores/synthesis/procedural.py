"""Drawn textures: what simulated anomalies are filled with where the user gives no folder of images.

A pool of gray patterns is drawn once from a seed; a draw takes a random crop of one and colours it through a
random palette, so that one pattern gives many textures.
"""

from collections.abc import Callable

import cv2
import numpy as np

from protores.synthesis.perlin import perlin

Pattern = Callable[[tuple[int, int], np.random.Generator], np.ndarray]
POOL = 96
GRAY_SHARE = 0.4


def coloured_noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise, stretched along an axis, whose spectrum falls with a power of 0 (white) to 2.5 (clouds)."""
    height, width = size
    frequency_y, frequency_x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    stretch = 2.0 ** rng.uniform(-3, 3)
    radius = np.sqrt((frequency_y * stretch) ** 2 + (frequency_x / stretch) ** 2) + 1 / max(size)
    spectrum = np.fft.rfft2(rng.standard_normal(size)) / radius ** rng.uniform(0, 2.5)
    return np.fft.irfft2(spectrum, size)


def octaves(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Perlin noise summed over octaves; folded at zero (veins) half of the time."""
    folded = rng.random() < 0.5
    persistence = rng.uniform(0.4, 0.8)
    total = np.zeros(size, np.float32)
    for octave in range(int(rng.integers(1, 4)), 7):
        layer = perlin(size, (2**octave, 2**octave), rng)
        total += persistence**octave * (np.abs(layer) if folded else layer)
    return total


def marble(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Waves whose phase is bent by Perlin noise."""
    bend = perlin(size, (4, 4), rng) + 0.5 * perlin(size, (8, 8), rng)
    return np.sin(_ramp(size, rng) * rng.uniform(20, 120) + rng.uniform(2, 12) * bend)


def stripes(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Straight lines at any angle, sharp or soft, evenly or unevenly spaced; crossed half of the time."""
    wave = np.zeros(size, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        phase = _ramp(size, rng) * rng.uniform(30, 400)
        phase += rng.uniform(0, 2) * np.sin(phase / rng.uniform(2, 6))
        wave += np.tanh(rng.uniform(0.5, 6) * (np.sin(phase) - rng.uniform(-0.6, 0.6)))
    return wave


def blobs(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Soft spots of one scale, cut at a level: bubbles, grains, droplets."""
    sigma = rng.uniform(2, 12)
    field = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (0, 0), sigma)
    field /= field.std()
    return np.tanh(rng.uniform(1, 8) * (field - rng.uniform(-1, 1)))


def scratches(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Many strokes on a plain ground: brushed, hairy or scratched surfaces."""
    canvas = np.full(size, 128, np.uint8)
    main, spread = rng.uniform(0, np.pi), rng.uniform(0.02, 1.5)
    for _ in range(int(rng.integers(60, 400))):
        angle, length = main + spread * rng.standard_normal(), rng.uniform(10, 200)
        x, y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
        end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
        cv2.line(
            canvas,
            (int(x), int(y)),
            end,
            int(rng.integers(256)),
            int(rng.integers(1, 4)),
            lineType=cv2.LINE_AA,
        )
    return canvas


def cells(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Distance to the nearest of random points: scales, pebbles, crackle."""
    points = np.ones(size, np.uint8)
    count = int(rng.integers(60, 1200))
    points[rng.integers(size[0], size=count), rng.integers(size[1], size=count)] = 0
    distance = cv2.distanceTransform(points, cv2.DIST_L2, 3)
    return distance ** rng.uniform(0.3, 1.5)


def grain(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A nearly flat tone with a little fine grain: stains, paint, glue."""
    field = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (0, 0), rng.uniform(0.5, 2))
    return np.clip(field / field.std(), -4, 4) * rng.uniform(1, 8) + rng.uniform(0, 255)


PATTERNS: tuple[Pattern, ...] = (coloured_noise, octaves, marble, stripes, blobs, scratches, cells, grain)


def _ramp(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A linear ramp across the image at a random angle, about one over its longer side."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) / max(size)
    return (np.cos(angle) * x + np.sin(angle) * y).astype(np.float32)


def draw_pattern(pattern: Pattern, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """One pattern as uint8 H x W; all but plain grain are stretched to the full range."""
    field = pattern(size, rng)
    if pattern is not grain:
        low, high = np.percentile(field, (1, 99))
        field = (field - low) * (255 / max(high - low, 1e-6))
    return np.clip(field, 0, 255).astype(np.uint8)


def palette(gray: bool, rng: np.random.Generator) -> np.ndarray:
    """256 colours, uint8 256 x 1 x 3, running through two to four random ones."""
    count = int(rng.integers(2, 5))
    stops = rng.uniform(0, 255, (count, 1 if gray else 3))
    position = np.linspace(0, 255, count)
    levels = np.arange(256)
    channels = [np.interp(levels, position, stops[:, c]) for c in range(stops.shape[1])]
    return np.repeat(np.stack(channels, 1), 3 // len(channels), axis=1).astype(np.uint8)[:, None]


class ProceduralTextures:
    """Textures of drawn patterns, images of size = (height, width)."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._size = size
        side = max(size) * 3 // 2
        self._pool = [draw_pattern(PATTERNS[i % len(PATTERNS)], (side, side), rng) for i in range(POOL)]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """One texture, uint8 H x W x 3 in 0..255, RGB; GRAY_SHARE of them gray."""
        pattern = self._pool[int(rng.integers(len(self._pool)))]
        colours = palette(rng.random() < GRAY_SHARE, rng)
        return cv2.applyColorMap(random_crop(pattern, self._size, (0.4, 1.0), rng), colours)


def random_crop(
    image: np.ndarray, size: tuple[int, int], share: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A crop at a random place, mirrored or transposed at random and resized to size.

    share: range of the crop's side, as part of the largest crop of that shape that fits.
    """
    if rng.random() < 0.5:
        image = cv2.transpose(image)
    height, width = image.shape[:2]
    fit = min(height / size[0], width / size[1]) * rng.uniform(*share)
    crop_height, crop_width = max(1, int(size[0] * fit)), max(1, int(size[1] * fit))
    top = int(rng.integers(height - crop_height + 1))
    left = int(rng.integers(width - crop_width + 1))
    crop = image[top : top + crop_height, left : left + crop_width]
    resized = cv2.resize(crop, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    flips = int(rng.integers(4))
    return resized if flips == 3 else cv2.flip(resized, flips - 1)
