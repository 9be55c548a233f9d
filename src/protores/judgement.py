"""A trained network in front of images: maps, scores, figures, and what is picked on the calibration part.

No more than PART images and their maps are in memory at a time, however many there are.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from protores.data.frames import Frames
from protores.data.sample import GOOD
from protores.metrics.evaluation import Evaluation, Evaluator
from protores.metrics.pixels import PixelCurves
from protores.model.network import PRN
from protores.model.scoring import score_images
from protores.product import Images, Product
from protores.progress import Progress
from protores.settings import Settings
from protores.synthesis.anomaly import Anomaly
from protores.synthesis.synthesizer import Synthesizer
from protores.training.group import ALONE, Group

CALIBRATION, TYPICAL = 2, 3
SIMULATED = "simulated"
PART = 32
SHOWN_PER_KIND = 4


@dataclass(frozen=True)
class Judgement:
    """Images with what the network says of them: scores N in [0, 1], and the figures.

    maps: of each kind those that are worth a look, by the image's place, hardest first: half of them the defects with
    the lowest scores (of the good images the highest), half those at the other end. evaluator: has all maps' pixels,
    for figures by other seen kinds.
    """

    images: Images
    maps: Mapping[int, NDArray[np.float32]]
    scores: NDArray[np.float32]
    figures: Evaluation
    evaluator: Evaluator


def judge(
    network: PRN,
    images: Images,
    settings: Settings,
    seen_kinds: set[str],
    progress: Progress | None = None,
    group: Group = ALONE,
) -> Judgement:
    """Scores the images and computes the figures. seen_kinds: the kinds of defects that trained the network.

    group: its processes share the images. The first gets all maps and scores before it computes a figure; the others
    get the figures alone.
    """
    evaluator, shown, scores = Evaluator(), _Shown(), [np.zeros(0, np.float32)]
    for part, maps, found in scored(network, images, settings, group):
        kinds = images.kinds[part]
        evaluator.update(found, maps, images.masks_or_none(part), kinds, images.ignored(part))
        shown.add(part.start, kinds, maps, found)
        scores.append(found)
        if progress:
            progress.track("judging images", part.start + len(kinds), len(images))
    figures = group.on_first(lambda: evaluator.compute(seen_kinds))
    return Judgement(images, shown.maps(), np.concatenate(scores), figures, evaluator)


def scored(
    network: PRN, images: Images, settings: Settings, group: Group = ALONE
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float32]]]:
    """The images' maps and scores, as score_images gives them, a part at a time, and which part it is.

    Of a group each process takes a part in turn, and the first gets them all, in their order.
    """
    parts = [slice(start, start + PART) for start in range(0, len(images), PART)]
    for at in range(0, len(parts), group.size):
        own = [_scored(network, images, settings, part) for part in parts[at + group.rank : at + group.rank + 1]]
        for found in group.gather_on_first(own):
            yield from found


def _scored(
    network: PRN, images: Images, settings: Settings, part: slice
) -> tuple[slice, NDArray[np.float32], NDArray[np.float32]]:
    valid = None if images.valid is None else images.valid[part]
    return part, *score_images(network, images.images[part], settings.model.score_top, valid)


class _Shown:
    """Of each kind the maps at both ends of its scores, so far."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[float, int, NDArray[np.float32]]]] = defaultdict(list)

    def add(
        self, start: int, kinds: tuple[str, ...], maps: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> None:
        half = SHOWN_PER_KIND // 2
        for place, (kind, anomaly, score) in enumerate(zip(kinds, maps, scores, strict=True), start=start):
            kept = self._kept[kind]
            kept.append((-float(score) if kind == GOOD else float(score), place, anomaly.copy()))
            kept.sort(key=lambda one: one[:2])
            del kept[half:-half]

    def maps(self) -> dict[int, NDArray[np.float32]]:
        order = sorted(self._kept, key=lambda kind: (kind != GOOD, kind))
        return {place: anomaly for kind in order for _, place, anomaly in self._kept[kind]}


def calibration_images(product: Product, synthesizer: Synthesizer, seed: int) -> Images | None:
    """The images that training is watched on and thresholds are picked from; none of them trains or is tested.

    The calibration part, and each of its good images once more with a simulated anomaly, which is drawn, the same one,
    when it is asked for. None if it is empty.
    """
    own = product.role("calibration")
    good = [i for i, kind in enumerate(own.kinds) if kind == GOOD]
    if not good:
        return None

    @lru_cache(maxsize=PART)
    def drawn(i: int) -> Anomaly:
        valid = None if own.valid is None else own.valid[i]
        return synthesizer.simulated(own.images[i], None, np.random.default_rng((seed, CALIBRATION, i)), valid)

    def image(place: int) -> NDArray[np.uint8]:
        return own.images[place] if place < len(own) else drawn(good[place - len(own)]).image

    def mask(place: int) -> NDArray[np.uint8]:
        return own.masks[place] if place < len(own) else drawn(good[place - len(own)]).mask

    def counts(place: int) -> NDArray[np.bool_]:
        assert own.valid is not None
        return own.valid[place if place < len(own) else good[place - len(own)]]

    size, count = own.masks.shape[1:], len(own) + len(good)
    return Images(
        images=Frames(image, count, (*size, 3), np.uint8),
        masks=Frames(mask, count, size, np.uint8),
        has_mask=np.concatenate([own.has_mask, np.ones(len(good), bool)]),
        valid=None if own.valid is None else Frames(counts, count, size, np.bool_),
        kinds=own.kinds + (SIMULATED,) * len(good),
        paths=own.paths + tuple(own.paths[i] for i in good),
    )


def typical_images(product: Product, synthesizer: Synthesizer, seed: int) -> NDArray[np.uint8]:
    """What the network's activations are like: at most 128 of the good images that train, N x H x W x 3, spread evenly
    over all of them, with a simulated anomaly in every second one.
    """
    good = product.role("train")
    picked = np.unique(np.linspace(0, len(good) - 1, 128).round().astype(int))
    images = good.images[picked]
    for place in range(1, len(images), 2):
        rng = np.random.default_rng((seed, TYPICAL, place))
        images[place] = synthesizer.simulated(images[place], int(picked[place]), rng).image
    return images


def pick_threshold(network: PRN, images: Images, settings: Settings) -> float | None:
    """The map value that outlines defects best (highest pixel F1) on the calibration images, or None."""
    curves = PixelCurves()
    for part, maps, _ in scored(network, images, settings):
        curves.update(maps, images.masks[part], images.ignored(part))
    best = curves.compute().best_f1
    return None if best is None else float(best.threshold)


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
