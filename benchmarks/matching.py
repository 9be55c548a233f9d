"""How often another prototype is chosen, and how much further it is, when the nearest is sought in cheaper ways.

    python benchmarks/matching.py

On the real images beside the project: prototypes (10 %) of good images, chosen for the other good ones and for
defective ones. Energies are sums of squared residuals over whole maps: of the chosen prototype over the nearest.
cells: maps averaged over 2 x 2 or 4 x 4. bf16: inner products in bfloat16, as OpenVINO takes them there, of the maps as
they are or with the prototypes' mean taken out.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "3000")

import numpy as np
import torch
import torch.nn.functional as F
from common import SHARED, write
from torch import Tensor

from protores.data.image import read_image, resize_image
from protores.model.backbone import Backbone
from protores.model.prototypes import gram_kmeans, gram_matrix, number_of_prototypes

SIDE = 256
MOST = 300
"""Images of each part of a product."""


def products() -> dict[str, tuple[list, list, list]]:
    """Good images behind the prototypes, others, and defective ones."""
    found = {}
    for name in ("mvtec_ad/grid", "magnetic_tile"):
        root = SHARED / "data" / name
        parts = [sorted(root.glob(pattern)) for pattern in ("train/good/*", "test/good/*", "test/[!g]*/*")]
        found[root.name] = tuple(part[:: max(1, len(part) // MOST)][:MOST] for part in parts)
    root = SHARED / "data/dagm/Class1/Test"
    labelled = {file.stem.split("_")[0] for file in (root / "Label").glob("*_label.*")}
    files = sorted(root.glob("*.PNG"))
    good = [file for file in files if file.stem not in labelled]
    found["dagm_class1"] = good[:50], good[50:], [file for file in files if file.stem in labelled]
    return found


@torch.no_grad()
def features(backbone: Backbone, files: list) -> list[Tensor]:
    maps = []
    for start in range(0, len(files), 16):
        images = np.stack([resize_image(read_image(file), (SIDE, SIDE)) for file in files[start : start + 16]])
        maps.append([m.half() for m in backbone(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)])
    return [torch.cat(scale) for scale in zip(*maps, strict=True)]


def distances(images: Tensor, prototypes: Tensor, bf16: bool = False) -> Tensor:
    """All but |f|², as the network computes it."""
    f, p = images.flatten(1), prototypes.flatten(1)
    norms = p.square().sum(1)
    if not bf16:
        return norms - 2 * f @ p.T
    return (norms - 2 * (f.bfloat16() @ p.bfloat16().T).float()).bfloat16().float()


def compare(images: Tensor, prototypes: Tensor) -> dict[str, dict[str, float]]:
    energies = torch.cdist(images.flatten(1), prototypes.flatten(1)).square()
    nearest, best = energies.argmin(1), energies.min(1).values
    mean = prototypes.mean(0, keepdim=True)
    ways = {
        "cells of 2": distances(F.avg_pool2d(images, 2), F.avg_pool2d(prototypes, 2)),
        "cells of 4": distances(F.avg_pool2d(images, 4), F.avg_pool2d(prototypes, 4)),
        "bf16": distances(images, prototypes, bf16=True),
        "bf16, mean taken out": distances(images - mean, prototypes - mean, bf16=True),
        "second nearest": energies.scatter(1, nearest[:, None], torch.inf),
    }
    figures = {}
    for name, distance in ways.items():
        chosen = distance.argmin(1)
        energy = energies.gather(1, chosen[:, None])[:, 0]
        figures[name] = {
            "another": round(float((chosen != nearest).float().mean()), 3),
            "energy": round(float(energy.sum() / best.sum()), 4),
            "energy_worst_image": round(float((energy / best).max()), 3),
        }
    return figures


if __name__ == "__main__":
    backbone, _ = Backbone.load("resnet18", str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors"))
    backbone.to(memory_format=torch.channels_last)
    figures = {}
    for product, (train, good, bad) in products().items():
        normal, *others = (features(backbone, files) for files in (train, good, bad))
        k = number_of_prototypes(len(train), 0.1, 64)
        for s, maps in enumerate(normal):
            clusters = torch.from_numpy(gram_kmeans(gram_matrix(maps.flatten(1)), k, 0))
            means = [maps[clusters == c].float().mean(0).half().float() for c in clusters.unique()]
            for part, images in zip(("good", "bad"), others, strict=True):
                key = f"{product}, layer {s + 1}, {len(images[s])} {part} images, K = {len(means)}"
                figures[key] = compare(images[s].float(), torch.stack(means))
                print(key, figures[key])
    write("matching", figures, seed=0)
