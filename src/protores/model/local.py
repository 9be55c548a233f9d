"""Local prototypes: K-means over single positions of the normal feature maps, wherever on the map they are.

A prototype of the paper is a whole map: it fits a product that always lies the same way. What a product shows in any
place, turn or shift is near a local one. Residuals to both go into the network side by side (docs/method.md).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor, nn

from protores.model.maps import Maps

LOCAL = 5
SAMPLE = 64
"""Positions per prototype that K-means works on."""
ROUNDS = 10
"""Of K-means; by then the distances change by less than a percent."""


class LocalPrototypes(nn.Module):
    """Prototypes of every scale, K x C, and for each position of a map the nearest of them.

    channels: C per scale. count: K.
    """

    def __init__(self, channels: Sequence[int], count: int):
        super().__init__()
        self.scales = len(channels)
        for s, c in enumerate(channels):
            self.register_buffer(f"vectors_{s}", torch.zeros(count, c))
            self.register_buffer(f"norms_{s}", torch.full((count,), torch.inf))
            self.register_buffer(f"spread_{s}", torch.ones(c))

    @torch.no_grad()
    def fit(self, features: Sequence[Maps], seed: int) -> None:
        """Makes the prototypes from the features of the normal images, N x C x H x W per scale, any float type.

        About SAMPLE positions for each are drawn by the seed, equally many in each image. A prototype without any
        (there were fewer distinct ones than K) is never the nearest. A cluster has so many members that no image's
        own share in it matters: there is nothing to leave out of these in training.
        """
        for s, maps in enumerate(features):
            vectors, norms = getattr(self, f"vectors_{s}"), getattr(self, f"norms_{s}")
            drawn = _positions(maps, SAMPLE * len(vectors), (seed, LOCAL, s))
            k = min(len(vectors), len(np.unique(drawn, axis=0)))
            kmeans = KMeans(k, init="random", n_init=1, max_iter=ROUNDS, random_state=seed).fit(drawn)
            vectors[:k] = torch.from_numpy(kmeans.cluster_centers_)
            norms.fill_(torch.inf)
            norms[:k] = vectors[:k].square().sum(1)
            off = (drawn - kmeans.cluster_centers_[kmeans.labels_]) ** 2
            getattr(self, f"spread_{s}").copy_(torch.from_numpy(off.mean(0)).clamp(min=1e-8))

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Per scale the nearest prototype (least L2) at each position, and its residual's gain: 1.

        features: B x C x H x W per scale. source: as Prototypes takes it, and not needed here.
        Returns (B x C x H x W, B) per scale, float32.
        """
        return [(self._nearest(s, feature), feature.new_ones(len(feature))) for s, feature in enumerate(features)]

    def _nearest(self, s: int, feature: Tensor) -> Tensor:
        vectors, norms = getattr(self, f"vectors_{s}"), getattr(self, f"norms_{s}")
        places = feature.permute(0, 2, 3, 1)
        nearest = torch.empty(places.shape, dtype=vectors.dtype, device=feature.device)
        with torch.autocast(feature.device.type, enabled=False):
            for one, found in zip(places, nearest, strict=True):  # an image at a time stays in the processor's cache
                distance = torch.addmm(norms, one.flatten(0, 1).float(), vectors.T, alpha=-2)
                found.copy_(vectors[distance.argmin(1)].view_as(found))
        return nearest.permute(0, 3, 1, 2)


def _positions(maps: Maps, count: int, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Features at `count` positions or a few more, equally many of each image, drawn by the seed; n x C."""
    n, c, height, width = maps.shape
    each = min(height * width, -(-count // n))
    rng = np.random.default_rng(seed)
    drawn = np.empty((n, each, c), np.float32)
    for image in range(n):
        places = torch.from_numpy(rng.choice(height * width, each, replace=False))
        drawn[image] = maps[image].permute(1, 2, 0).reshape(-1, c)[places].float().cpu().numpy()
    return drawn.reshape(-1, c)
