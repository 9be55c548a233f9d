"""A trained network in front of images: maps, scores, figures, and what is picked on the calibration part."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from protores.data.sample import GOOD
from protores.metrics.evaluation import Evaluation, evaluate
from protores.metrics.pixels import PixelCurves
from protores.model.network import PRN
from protores.model.scoring import score_images
from protores.product import Images, Product
from protores.progress import Progress
from protores.settings import Settings
from protores.synthesis.synthesizer import Synthesizer

CALIBRATION, TYPICAL = 2, 3
SIMULATED = "simulated"


@dataclass(frozen=True)
class Judgement:
    """Images with what the network says of them: maps N x H x W and scores N in [0, 1], and the figures."""

    images: Images
    maps: NDArray[np.float32]
    scores: NDArray[np.float32]
    figures: Evaluation


def judge(
    network: PRN, images: Images, settings: Settings, seen_kinds: set[str], progress: Progress | None = None
) -> Judgement:
    """Scores the images and computes the figures. seen_kinds: the kinds of defects that trained the network."""
    maps, scores = [], []
    for start in range(0, len(images), 32):
        part = slice(start, start + 32)
        valid = None if images.valid is None else images.valid[part]
        found = score_images(network, images.images[part], settings.model.score_top, valid)
        maps.append(found[0])
        scores.append(found[1])
        if progress:
            progress.track("judging images", min(start + 32, len(images)), len(images))
    joined = np.concatenate(maps), np.concatenate(scores)
    figures = evaluate(joined[1], joined[0], images.masks_or_none, images.kinds, seen_kinds, images.ignored)
    return Judgement(images, *joined, figures)


def calibration_images(product: Product, synthesizer: Synthesizer, seed: int) -> Images | None:
    """The images that training is watched on and thresholds are picked from; none of them trains or is tested.

    The calibration part, and each of its good images once more with a simulated anomaly. None if it is empty.
    """
    own = product.role("calibration")
    good = [i for i, kind in enumerate(own.kinds) if kind == GOOD]
    if not good:
        return None
    drawn = [
        synthesizer.simulated(
            own.images[i],
            None,
            np.random.default_rng((seed, CALIBRATION, i)),
            None if own.valid is None else own.valid[i],
        )
        for i in good
    ]
    return Images(
        images=np.concatenate([own.images, np.stack([a.image for a in drawn])]),
        masks=np.concatenate([own.masks, np.stack([a.mask for a in drawn])]),
        has_mask=np.concatenate([own.has_mask, np.ones(len(drawn), bool)]),
        valid=None if own.valid is None else np.concatenate([own.valid, own.valid[good]]),
        kinds=own.kinds + (SIMULATED,) * len(drawn),
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
    maps, _ = score_images(network, images.images, settings.model.score_top, images.valid)
    curves = PixelCurves()
    curves.update(maps, images.masks, images.ignored)
    best = curves.compute().best_f1
    return None if best is None else float(best.threshold)


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
