"""How a board lies under the camera and the lamp: pose, belt, light, lens and sensor."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.toy.board import Board
from protores.toy.layout import FIELD
from protores.toy.materials import Label
from protores.toy.pen import Labels

Image = NDArray[np.uint8]
Photo = NDArray[np.float32]
"""H x W x 3 in levels, before the sensor adds its noise."""
SHADE = 120.0
"""Steps of gain 1 while shading is kept in 8 bits."""


@dataclass(frozen=True)
class Film:
    """Something thin on the board: alpha in [0, 1] from a corner (row, column) on; colour in levels."""

    alpha: NDArray[np.float32]
    corner: tuple[int, int]
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """One shot. pose maps the board's field to the camera's, both in [0, 1]; the rest is light and lens."""

    pose: NDArray[np.float64]
    lamp: tuple[float, float]
    level: float
    gradient: tuple[float, float]
    vignette: float
    warmth: tuple[float, float, float]
    belt: float
    blur: float
    noise: float
    seed: int

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Scene":
        turn, scale = np.radians(rng.uniform(-6, 6)), rng.uniform(0.95, 1.03)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) - 0.5
        frame = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        seen = corners @ frame + 0.5 + rng.uniform(-0.025, 0.025, 2) + rng.uniform(-0.008, 0.008, (4, 2))
        pose = cv2.getPerspectiveTransform((corners + 0.5).astype(np.float32), seen.astype(np.float32))
        azimuth = np.radians(rng.uniform(-35, 35) - 120)
        strength, towards = rng.uniform(0, 0.14), rng.uniform(0, 2 * np.pi)
        warm = rng.normal(0, 0.02)
        return cls(
            pose=np.asarray(pose, np.float64),
            lamp=(float(np.cos(azimuth)), float(np.sin(azimuth))),
            level=rng.uniform(0.86, 1.14),
            gradient=(strength * np.cos(towards), strength * np.sin(towards)),
            vignette=rng.uniform(0, 0.16),
            warmth=(1 + warm, 1.0, 1 - warm),
            belt=rng.uniform(98, 122),
            blur=rng.uniform(0.25, 0.65),
            noise=rng.uniform(0.8, 2.4),
            seed=int(rng.integers(2**32)),
        )

    def photograph(self, board: Board, labels: Labels, size: int, films: tuple[Film, ...] = ()) -> Photo:
        """The board with these labels (P x P, P a multiple of size) and films, as the lens projects it."""
        pixels = len(labels)
        scale = np.diag([pixels, pixels, 1.0])
        pose = scale @ self.pose @ np.linalg.inv(scale)

        def project(surface: NDArray[np.uint8]) -> NDArray[np.uint8]:
            seen = cv2.warpPerspective(surface, pose, (pixels, pixels), flags=cv2.INTER_LINEAR)
            return np.asarray(cv2.resize(seen, (size, size), interpolation=cv2.INTER_AREA), np.uint8)

        colour = project(_colour(board, labels, films))
        shade, shine, alpha = cv2.split(project(_relief(board, labels, self.lamp)).astype(np.float32))
        alpha /= 255
        shade *= alpha / SHADE
        shine *= alpha
        rng = np.random.default_rng(self.seed)
        belt = self._belt(alpha, rng) * (1 - alpha)
        shine += belt
        light = self._light(size)
        gains = [light * np.float32(warmth) for warmth in self.warmth]
        photo = cv2.merge([(c * shade + shine) * g for c, g in zip(cv2.split(colour), gains, strict=True)])
        if size >= 128:
            photo = cv2.GaussianBlur(photo, (0, 0), self.blur * size / 256)
        return np.asarray(photo, np.float32)

    def expose(self, photo: Photo) -> Image:
        """The sensor's picture: shot noise and rounding; the same noise for every photo of this scene."""
        rng = np.random.default_rng([self.seed, 1])
        noise = rng.standard_normal(photo.shape, np.float32) * np.float32(self.noise)
        return np.clip(photo + noise + 0.5, 0, 255).astype(np.uint8)

    def _belt(self, alpha: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """The conveyor: gray cloth with faint streaks along its way, darker where the board shades it."""
        size = len(alpha)
        grain = rng.normal(0, 2.2, (size, size)).astype(np.float32)
        streaks = cv2.blur(rng.normal(0, 3.0, (size, 1)).astype(np.float32), (1, 3))
        offset = np.array([[1, 0, -self.lamp[0] * size / 70], [0, 1, -self.lamp[1] * size / 70]], np.float32)
        shade = cv2.warpAffine(alpha, offset, (size, size))
        shade = cv2.GaussianBlur(shade, (0, 0), size / 110)
        return np.asarray((self.belt + cv2.blur(grain, (3, 1)) + streaks) * (1 - 0.45 * shade), np.float32)

    def _light(self, size: int) -> NDArray[np.float32]:
        """Gain per pixel."""
        along = np.linspace(-1, 1, size, dtype=np.float32)
        x, y = along[None, :], along[:, None]
        falloff = 1 - np.float32(self.vignette / 2) * (x * x + y * y)
        slope = 1 + self.gradient[0] * x + self.gradient[1] * y
        return (self.level * slope * falloff).astype(np.float32)


def _look_up(labels: Labels, column: NDArray[np.float32]) -> NDArray[np.float32]:
    table = np.zeros((1, 256), np.float32)
    table[0, : len(column)] = column
    return np.asarray(cv2.LUT(labels, table), np.float32)


def _colour(board: Board, labels: Labels, films: tuple[Film, ...]) -> NDArray[np.uint8]:
    """Colours in even light, P x P x 3."""
    table = np.zeros((1, 256, 3), np.uint8)
    table[0, : len(board.look)] = np.clip(board.look[:, :3], 0, 255)
    colour = cv2.LUT(cv2.merge([labels] * 3), table)
    for film in films:
        top, left = film.corner
        height, width = film.alpha.shape
        window = colour[top : top + height, left : left + width].astype(np.float32)
        window += (np.array(film.colour, np.float32) - window) * film.alpha[..., None]
        colour[top : top + height, left : left + width] = window
    return np.asarray(colour, np.uint8)


def _relief(board: Board, labels: Labels, lamp: tuple[float, float]) -> NDArray[np.uint8]:
    """What raking light makes of heights and gloss, P x P x 3: gain in 1/SHADE, shine in levels, presence.

    In place where it can be: fresh pages for big arrays cost more here than the arithmetic.
    """
    pixels = len(labels)
    unit = pixels / FIELD
    height = _look_up(labels, board.look[:, 3])
    cv2.GaussianBlur(height, (0, 0), 1.6 * unit + 0.3, dst=height)
    u, v = lamp
    step = np.array([[1, 0, -u * 9 * unit], [0, 1, -v * 9 * unit]], np.float32)
    shadow = cv2.warpAffine(height, step, (pixels, pixels))
    shadow -= height
    np.clip(shadow, 0, 1, out=shadow)
    cv2.blur(shadow, (round(5 * unit) | 1,) * 2, dst=shadow)
    # Slope towards the lamp, in millimetres per 4 units; what faces the lamp is brighter.
    sobel = np.array([[u + v, 2 * v, v - u], [2 * u, 0, -2 * u], [u - v, -2 * v, -u - v]]) / 2 * unit
    slope = cv2.filter2D(height, cv2.CV_32F, sobel, dst=height)
    np.clip(slope, -0.8, 0.8, out=slope)
    shade = _grain(board, labels)
    shadow *= -0.5
    shadow += 1
    shade *= shadow
    gloss = _look_up(labels, board.look[:, 4] * 190)
    gloss *= np.maximum(slope, 0, out=shadow)
    slope *= 0.55
    slope += 1
    shade *= slope
    presence = (labels != Label.NOTHING) * np.uint8(255)
    relief = cv2.merge([cv2.convertScaleAbs(shade, alpha=SHADE), cv2.convertScaleAbs(gloss), presence])
    return np.asarray(relief, np.uint8)


def _grain(board: Board, labels: Labels) -> NDArray[np.float32]:
    """Brightness of the glass weave and of the surfaces' roughness, about 1."""
    pixels = len(labels)
    rng = np.random.default_rng([board.seed, 1])
    phase = rng.uniform(0, 2 * np.pi, (2, 1))
    weave = 0.02 * np.sin(np.arange(pixels) * FIELD / pixels * 2 * np.pi / 23 + phase).astype(np.float32)
    rough = rng.integers(0, 256, (pixels // 2, pixels // 2), np.uint8).astype(np.float32) * (0.18 / 255)
    grain = cv2.resize(rough, (pixels, pixels), interpolation=cv2.INTER_LINEAR)
    grain += weave[0][:, None] - 0.09
    grain += weave[1][None, :]
    grain *= _look_up(labels, board.look[:, 5])
    cloud = rng.normal(1, 0.025, (7, 7)).astype(np.float32)
    grain += cv2.resize(cloud, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    return grain
