"""Everything that one network judges, a product at a time; of most networks that is one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from protores.data.frames import Frames
from protores.data.image import network_input
from protores.judgement import PART, Judgement, judge
from protores.metrics.evaluation import Evaluation
from protores.metrics.products import over_products
from protores.model.network import PRN
from protores.product import Images, Product
from protores.products import Products
from protores.progress import Progress
from protores.settings import Settings
from protores.training.group import ALONE, Group


@dataclass(frozen=True)
class Judgements:
    """parts: by the product's name. figures: the only product's, or a ProductsEvaluation of several."""

    parts: Mapping[str, Judgement]
    figures: Evaluation


def judge_parts(
    network: PRN,
    product: Product | Products,
    images: Mapping[str, Images],
    settings: Settings,
    progress: Progress | None = None,
    group: Group = ALONE,
) -> Judgements:
    """Scores images by their product's name, at least one's, and computes the figures. group: as for judge."""
    places = {part.name: place for place, part in enumerate(product.parts)}
    parts = {
        part.name: judge(network, images[part.name], settings, part.seen_kinds, progress, group)
        for part in product.parts
        if part.name in images
    }
    figures = {name: judgement.figures for name, judgement in parts.items()}
    if len(places) == 1:
        return Judgements(parts, *figures.values())
    recognised = {name: float((recognise(network, images[name].images) == places[name]).mean()) for name in parts}
    return Judgements(parts, over_products(figures, recognised))


@torch.inference_mode()
def recognise(network: PRN, images: Frames | NDArray[np.uint8]) -> NDArray[np.int64]:
    """The place of the product that each image is taken for, among the network's. images: N x H x W x 3 uint8."""
    device = next(network.parameters()).device
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(images), PART):
        given = torch.from_numpy(network_input(images[start : start + PART])).to(device)
        found.append(network.distances(given).argmin(1).cpu().numpy())
    return np.concatenate(found)
