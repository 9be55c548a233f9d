"""One judged image as the page shows it: a photo, a heat map to lay over it, and outlines, all as text."""

import base64
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from protores.data.image import shrink
from protores.decision.inspected import Inspected
from protores.report import heatmap

Image = NDArray[np.uint8]
Polygon = tuple[tuple[float, float], ...]

QUALITIES = ((384, 82), (320, 76), (256, 70), (192, 60), (128, 50))
"""Longer side of the photo and WebP quality, best first."""
SAMPLE = 12
"""Images that a quality is tried on."""
HEAT_QUALITY = 70
OPACITY = 0.75
MOST_REGIONS = 40
"""Regions shown of an image, highest peak first."""


@dataclass(frozen=True)
class Card:
    """photo, heat: WebP as data URIs. width, height: of the original. truth: polygons in its pixels, None without a
    mask. group: good, seen or unseen."""

    name: str
    path: str
    kind: str
    group: str
    score: float
    width: int
    height: int
    photo: str
    heat: str
    truth: tuple[Polygon, ...] | None
    regions: tuple[dict[str, Any], ...]


def make_cards(images: list[Inspected], seen_kinds: frozenset[str], budget: int) -> list[Card]:
    """A card each; photos in the best quality of QUALITIES with which all together stay within `budget` bytes."""
    heats = [heat_layer(one) for one in images]
    left = budget - sum(map(len, heats))
    sample = images[:: max(1, len(images) // SAMPLE)]
    photos: list[str] = []
    for side, quality in QUALITIES:
        drawn = [webp(shrink(one.picture, side), quality) for one in sample]
        if sum(map(len, drawn)) * len(images) > left * len(sample) and side != QUALITIES[-1][0]:
            continue
        photos = [webp(shrink(one.picture, side), quality) for one in images]
        if sum(map(len, photos)) <= left:
            break
    return [_card(one, photo, heat, seen_kinds) for one, photo, heat in zip(images, photos, heats, strict=True)]


def heat_layer(one: Inspected) -> str:
    """The map in inferno's colours on the scale 0 to 1, the more transparent the lower: laid over the photo it leaves
    a good part as it is."""
    top, left, height, width = one.result.box
    inside = one.result.network_map[top : top + height, left : left + width]
    alpha = np.round(heatmap.scaled(inside) * (255 * OPACITY)).astype(np.uint8)
    return webp(np.dstack([heatmap.colour(inside), alpha]), HEAT_QUALITY)


def webp(image: Image, quality: int) -> str:
    """An image, RGB or RGBA, as a data URI."""
    turned = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".webp", turned, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def outlines(one: Inspected) -> tuple[Polygon, ...] | None:
    """The mask's outlines in pixels of the original image."""
    if one.mask is None:
        return None
    top, left, height, width = one.result.box
    tall, wide = one.result.size
    inside = np.ascontiguousarray(one.mask[top : top + height, left : left + width])
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    scale = np.array([wide / width, tall / height])
    found = (((cv2.approxPolyDP(c, 0.7, True)[:, 0] + 0.5) * scale).round(1).tolist() for c in contours)
    return tuple(tuple((x, y) for x, y in polygon) for polygon in found)


def _card(one: Inspected, photo: str, heat: str, seen_kinds: frozenset[str]) -> Card:
    sample = one.record.sample
    height, width = one.result.size
    return Card(
        sample.path.name,
        "/".join(sample.path.parts[-3:]),
        sample.kind,
        "good" if sample.is_good else "seen" if sample.kind in seen_kinds else "unseen",
        one.score,
        width,
        height,
        photo,
        heat,
        outlines(one),
        tuple(region.to_dict() for region in one.result.regions[:MOST_REGIONS]),
    )
