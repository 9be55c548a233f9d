"""Where the product is, found from good images without labels (docs/method.md).

A product lying on a quiet background is an object; a product that fills the image is a texture, whose
foreground is everywhere. The image's border tells: on objects it is quiet and of one colour, and what differs
from it is compact and set off by a clear step. Where that is not so in nearly all images, it is taken for a
texture: a defect drawn beside the product costs more than one that could be anywhere.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from protores.data.frames import Frames
from protores.synthesis.anomaly import disc

WORK_SIDE = 128
FIT_IMAGES = 48
BORDER = 0.03
BORDER_INLIERS = 0.6
BACKGROUND_SPREAD = 12.0
LEAST_CONTRAST = 10.0
AREA = (0.02, 0.92)
PARTS = 6
BORDER_TOUCH = 0.4
STEP = 0.35
LEFT_OVER = 0.12
OBJECT_SHARE = 0.8
AREA_SPREAD = 0.6
DILATION = 0.004
LAB_UNITS = (100 / 255, 1.0, 1.0)


@dataclass(frozen=True)
class Segmentation:
    """One image's product at working size: its mask, uint8 {0, 1}, the threshold used, and plausibility."""

    mask: np.ndarray
    threshold: float
    plausible: bool


@dataclass(frozen=True)
class Foreground:
    """is_object: a product on a background; threshold: its usual distance from it, in Lab units."""

    is_object: bool
    threshold: float = 0.0

    @classmethod
    def fit(cls, images: Frames | np.ndarray, product: Literal["auto", "object", "texture"] = "auto") -> "Foreground":
        """Decides from good images, uint8 N x H x W x 3; looks at FIT_IMAGES of them, evenly spaced.

        product: what it is, where that is known.
        """
        if product == "texture":
            return cls(is_object=False)
        picked = np.unique(np.linspace(0, len(images) - 1, min(len(images), FIT_IMAGES)).round().astype(int))
        found = [segment(_shrink(images[index])) for index in picked]
        plausible = [segmentation for segmentation in found if segmentation.plausible]
        if product == "auto" and not _agree(found, plausible):
            return cls(is_object=False)
        thresholds = [segmentation.threshold for segmentation in plausible]
        return cls(True, float(np.median(thresholds)) if thresholds else 0.0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Product of an image uint8 H x W x 3: uint8 H x W in {0, 1}, a few pixels wider than its outline.

        Everywhere for textures, and where the image's own segmentation is not plausible.
        """
        height, width = image.shape[:2]
        if not self.is_object:
            return np.ones((height, width), np.uint8)
        found = segment(_shrink(image), self.threshold)
        if not found.plausible:
            return np.ones((height, width), np.uint8)
        enlarged = cv2.resize(found.mask * 255, (width, height), interpolation=cv2.INTER_LINEAR)
        wide = cv2.dilate(enlarged, disc(max(1, round(DILATION * max(height, width)))))
        return (wide > 127).astype(np.uint8)


def _agree(found: list[Segmentation], plausible: list[Segmentation]) -> bool:
    """Nearly all images show a product on a background, and of about one size."""
    if len(plausible) < OBJECT_SHARE * len(found) or not plausible:
        return False
    areas = np.array([segmentation.mask.mean() for segmentation in plausible])
    return bool(areas.std() <= AREA_SPREAD * areas.mean())


def segment(image: np.ndarray, usual_threshold: float | None = None) -> Segmentation:
    """Product of one image at working size; its threshold stays within 1.5 times the usual one, if given."""
    distance, border_spread, border_inliers = background_distance(image)
    nothing = Segmentation(np.zeros(image.shape[:2], np.uint8), 0.0, False)
    if border_spread > BACKGROUND_SPREAD or border_inliers < BORDER_INLIERS:
        return nothing
    threshold = _otsu(distance)
    if usual_threshold is not None:
        threshold = float(np.clip(threshold, usual_threshold / 1.5, usual_threshold * 1.5))
    # Otsu halves the contrast; dark or pale parts of the product lie nearer to the background than that.
    threshold = max(0.6 * threshold, 3 * border_spread, LEAST_CONTRAST / 2)
    raw = (distance > threshold).astype(np.uint8)
    mask = _compact(raw)
    return Segmentation(mask, threshold / 0.6, _plausible(mask, raw, distance))


def background_distance(image: np.ndarray) -> tuple[np.ndarray, float, float]:
    """How far each pixel is from the background seen along the image's border.

    Returns the distance (float32 H x W: Lab difference to a plane fitted to the border, plus local contrast
    beyond the border's own), the spread of the border around its plane (Lab units), and the share of the
    border within four spreads of it.
    """
    lab = np.multiply(cv2.cvtColor(image, cv2.COLOR_RGB2Lab), LAB_UNITS, dtype=np.float32)
    lightness = cv2.extractChannel(lab, 0)
    slopes = (cv2.Sobel(lightness, cv2.CV_32F, *order, scale=0.25) for order in ((1, 0), (0, 1)))
    gradient = cv2.blur(cv2.magnitude(*slopes), (3, 3))
    lab = cv2.blur(lab, (3, 3))
    ring, design = _border(*image.shape[:2])
    rows, values = design.reshape(-1, 3)[ring], lab.reshape(-1, 3)[ring]
    inliers = np.abs(values - np.median(values, axis=0)).sum(axis=1) <= 2 * BACKGROUND_SPREAD
    plane, spread = np.zeros((3, 3), np.float32), np.inf
    for _ in range(3):
        if inliers.sum() < 0.3 * len(rows):
            return np.zeros_like(lightness), np.inf, 0.0
        kept = rows[inliers]
        plane = np.linalg.solve(kept.T @ kept, kept.T @ values[inliers])
        residual = np.sqrt(((values - rows @ plane) ** 2).sum(axis=1))
        spread = max(float(np.median(residual[inliers])), 0.5)
        inliers = residual <= max(4 * spread, 3.0)
    beyond = cv2.subtract(lab, cv2.transform(design, plane.T))
    distance = cv2.sqrt(cv2.transform(cv2.multiply(beyond, beyond), np.ones((1, 3), np.float32)))
    quiet = float(np.median(gradient.reshape(-1)[ring][inliers]))
    distance += np.maximum(gradient - 2 * quiet, 0)
    return distance, spread + quiet, float(inliers.mean())


def _shrink(image: np.ndarray) -> np.ndarray:
    scale = WORK_SIDE / max(image.shape[:2])
    shape = (max(16, round(image.shape[1] * scale)), max(16, round(image.shape[0] * scale)))
    return cv2.resize(image, shape, interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=8)
def _border(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of every third border pixel, and the terms of a plane at every pixel, H x W x 3."""
    depth = max(2, round(BORDER * max(height, width)))
    ring = np.ones((height, width), bool)
    ring[depth:-depth, depth:-depth] = False
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.flatnonzero(ring)[::3], np.dstack([np.ones_like(x), x / width - 0.5, y / height - 0.5])


def _otsu(distance: np.ndarray) -> float:
    top = max(float(np.percentile(distance[::2, ::2], 99.5)), 1e-3)
    scaled = np.clip(distance * (255 / top), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return level * top / 255


def _compact(raw: np.ndarray) -> np.ndarray:
    """Closed, holes filled, and without specks smaller than a tenth of the largest part."""
    # Closing needs room: at the image border it would otherwise glue the product to the edge.
    padded = cv2.copyMakeBorder(raw, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc(3))[4:-4, 4:-4]
    contours, _ = cv2.findContours(np.ascontiguousarray(closed), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros_like(raw)
    areas = [cv2.contourArea(contour) + len(contour) / 2 for contour in contours]
    for contour, area in zip(contours, areas, strict=True):
        if area >= 0.1 * max(areas):
            cv2.drawContours(mask, [contour], -1, 1, cv2.FILLED)
    return mask


def _plausible(mask: np.ndarray, raw: np.ndarray, distance: np.ndarray) -> bool:
    """Neither speck nor everything, off most of the border, of few parts, with a clear step around it."""
    area = float(mask.mean())
    if not AREA[0] <= area <= AREA[1]:
        return False
    touching = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    if touching > BORDER_TOUCH:
        return False
    if cv2.connectedComponents(mask)[0] - 1 > PARTS:
        return False
    left_over = (raw & ~mask & 1).sum() / max(int(raw.sum()), 1)
    if left_over > LEFT_OVER:
        return False
    contrast = float(np.median(distance[mask == 1]))
    if contrast < LEAST_CONTRAST:
        return False
    inside = (mask == 1) & (cv2.erode(mask, disc(3), borderValue=1) == 0)
    outside = (mask == 0) & (cv2.dilate(mask, disc(3)) == 1) & (cv2.dilate(mask, disc(1)) == 0)
    if not outside.any():
        return False
    step = float(np.median(distance[inside]) - np.median(distance[outside]))
    return step > STEP * contrast
