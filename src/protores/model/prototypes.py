"""Multi-scale prototypes: per scale, K-means over the whole feature maps of the normal images (figure 3).

A prototype is a whole map, C x H x W. K-means needs only distances, so it runs on the N x N Gram matrix of the
N images, exactly, however large the maps are. K = 10 % of the images, capped; of very many images a sample makes the
prototypes (docs/method.md).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg.lapack import dpstrf
from sklearn.cluster import KMeans
from torch import Tensor, nn

from protores.model.maps import Maps

NO_SOURCE = -1
NO_CLUSTER = -1
CHUNK = 1 << 15
BLOCK = 1 << 25
SAMPLE = 4


def gram_matrix(maps: Maps, chosen: NDArray[np.int64] | None = None, chunk: int = CHUNK) -> NDArray[np.float64]:
    """Inner products of the centred maps of the chosen images (None: of all), N x N, in float64.

    maps: any number x C x H x W or x D, of any floating type, in memory or in a file. `chunk` numbers of each map are
    read at a time, and no more than BLOCK numbers in all.
    """
    n = len(maps) if chosen is None else len(chosen)
    gram = np.zeros((n, n))
    for block in _columns(maps, chosen, chunk):
        block -= block.mean(dim=0)
        gram += (block @ block.T).cpu().numpy()
    return gram


def _columns(maps: Maps, chosen: NDArray[np.int64] | None, chunk: int) -> Iterator[Tensor]:
    """Chosen maps, flat, channels last, copied to float32: a piece of all of them at a time."""
    rows = torch.arange(len(maps)) if chosen is None else torch.from_numpy(chosen)
    d = int(np.prod(maps.shape[1:]))
    wide = max(1, min(chunk, BLOCK // len(rows)))
    for start in range(0, d, wide):
        yield _flat(maps[:])[rows, start : start + wide].float()


def gram_kmeans(gram: NDArray[np.float64], k: int, seed: int, restarts: int = 10) -> NDArray[np.int64]:
    """K-means of N points known by their centred Gram matrix, which is overwritten: the cluster of each, N numbers in
    [0, k).

    There are fewer than k clusters where there are fewer distinct points.
    """
    points = gram_points(gram)
    if points.shape[1] < k:  # any more distinct points would span more than that
        distinct, clusters = np.unique(points.round(9), axis=0, return_inverse=True)
        if len(distinct) <= k:
            return clusters.ravel().astype(np.int64)
    return KMeans(k, n_init=restarts, random_state=seed, copy_x=False).fit_predict(points).astype(np.int64)


def gram_points(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """N points, N x rank, with the inner products of a Gram matrix, which is overwritten.

    The rows of a pivoted Cholesky factor are such points, in the matrix's own memory and, for thousands of them, in a
    hundredth of the time that eigenvectors take.
    """
    n = len(gram)
    most = float(gram.diagonal().max())
    factor, order, rank, _ = dpstrf(gram.T, tol=max(most, 0.0) * 1e-9, lower=1, overwrite_a=1)
    points = np.zeros((n, rank if most > 0 else 0))
    for row, place in enumerate(order[: n if most > 0 else 0] - 1):
        width = min(row + 1, rank)
        points[place, :width] = factor[row, :width]
    return points


def number_of_prototypes(images: int, share: float, cap: int) -> int:
    """K for that many normal images: the share of them, at least 1, at most the cap."""
    return max(1, min(round(images * share), cap, images))


def images_behind(images: int, most: int, seed: int) -> NDArray[np.int64]:
    """Which of the normal images make the prototypes, ascending: all, or of more than `most` so many, drawn by seed."""
    if images <= most:
        return np.arange(images)
    return np.sort(np.random.default_rng((seed, SAMPLE)).choice(images, most, replace=False))


class Prototypes(nn.Module):
    """The prototypes of every scale, and for an image the nearest of them.

    shapes: (C, H, W) per scale; count: K; images: how many normal images there are. cells: the nearest
    is found on maps averaged over cells of this side, which divides H and W; 1: on the maps themselves. The buffers
    clusters_0 and so on hold the cluster of each normal image, NO_CLUSTER for one that helped to make none.
    """

    def __init__(self, shapes: Sequence[tuple[int, int, int]], count: int, images: int, cells: int = 1):
        super().__init__()
        self.scales = len(shapes)
        self.cells = cells
        for s, shape in enumerate(shapes):
            maps = torch.zeros(count, *shape).contiguous(memory_format=torch.channels_last)
            self.register_buffer(f"maps_{s}", maps)
            self.register_buffer(f"norms_{s}", torch.full((count,), torch.inf))
            self.register_buffer(f"clusters_{s}", torch.zeros(images, dtype=torch.int64))
            self.register_buffer(f"spread_{s}", torch.ones(shape[0]))

    @torch.no_grad()
    def fit(self, features: Sequence[Maps], seed: int, most: int | None = None) -> None:
        """Makes the prototypes from the features of the normal images, N x C x H x W per scale, any float type.

        most: from how many images at most (images_behind); None: from all. The prototypes are rounded to half
        precision, as they are stored. One without images (there were fewer distinct images than K) is never the
        nearest.
        """
        chosen = images_behind(len(features[0]), most or len(features[0]), seed)
        for s, maps in enumerate(features):
            prototypes, norms = getattr(self, f"maps_{s}"), getattr(self, f"norms_{s}")
            clusters = gram_kmeans(gram_matrix(maps, chosen), len(prototypes), seed)
            every = getattr(self, f"clusters_{s}").fill_(NO_CLUSTER)
            every[torch.from_numpy(chosen)] = torch.from_numpy(clusters).to(every.device)
            norms.fill_(torch.inf)
            for k in range(clusters.max() + 1):
                prototypes[k] = _mean(maps, chosen[clusters == k]).half()
                norms[k] = self.averaged(prototypes[k]).square().sum()
            getattr(self, f"spread_{s}").copy_(self._spread(s, maps, chosen))

    def _spread(self, s: int, maps: Maps, chosen: NDArray[np.int64], chunk: int = 16) -> Tensor:
        """Mean squared residual per channel over the chosen images, each against prototypes without it."""
        device = getattr(self, f"maps_{s}").device
        total = torch.zeros(maps.shape[1], device=device)
        for source in torch.from_numpy(chosen).split(chunk):
            feature = maps[source].to(device).float()
            nearest, gain = self._nearest(s, feature, source.to(device))
            total += ((feature - nearest).square().mean((2, 3)) * gain[:, None]).sum(0)
        return (total / len(chosen)).clamp(min=1e-8)

    def averaged(self, maps: Tensor) -> Tensor:
        """Maps, ... x C x H x W, as the nearest is found on them."""
        return maps if self.cells == 1 else F.avg_pool2d(maps, self.cells)

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Per scale the nearest prototype of each image (least L2 over the whole map), and its residual's gain.

        features: B x C x H x W per scale. source: B indices into the normal images, or NO_SOURCE for an image that is
        none of them. For those that the prototypes are made from, the prototype is meant as it were without
        them (leave-one-out): in a cluster of m its residual is m / (m - 1) as long, so its square has the gain
        (m / (m - 1))^2; in a cluster of its own the next prototype is taken. All other gains are 1.
        Returns (B x C x H x W, B) per scale.
        """
        return [self._nearest(s, feature, source) for s, feature in enumerate(features)]

    @torch.no_grad()
    def distances(self, features: list[Tensor]) -> Tensor:
        """Mean squared difference of each image to its nearest prototype, as that is found, B x scales."""
        found = []
        for s, feature in enumerate(features):
            given = _flat(self.averaged(feature.float()))
            found.append((self._distance(s, feature).amin(1) + given.square().sum(1)) / given.shape[1])
        return torch.stack(found, 1)

    def _distance(self, s: int, feature: Tensor) -> Tensor:
        """Squared distances to all prototypes, less the square of the image itself, B x K."""
        maps, norms = getattr(self, f"maps_{s}"), getattr(self, f"norms_{s}")
        with torch.autocast(feature.device.type, enabled=False):
            return norms - 2 * _flat(self.averaged(feature.float())) @ _flat(self.averaged(maps)).T

    def _nearest(self, s: int, feature: Tensor, source: Tensor | None) -> tuple[Tensor, Tensor]:
        maps, norms = getattr(self, f"maps_{s}"), getattr(self, f"norms_{s}")
        distance = self._distance(s, feature)
        gain = torch.ones(len(feature), device=feature.device)
        if source is None:
            return maps[distance.argmin(1)], gain
        clusters = getattr(self, f"clusters_{s}")
        sizes = torch.bincount(clusters[clusters != NO_CLUSTER], minlength=len(maps))
        own = clusters[source.clamp(min=0)]
        known = (source != NO_SOURCE) & (own != NO_CLUSTER)
        members = sizes[own]
        alone = known & (members == 1) & (norms.isfinite().sum() > 1)
        distance[alone, own[alone]] = torch.inf
        nearest = distance.argmin(1)
        shared = known & (nearest == own) & (members > 1)
        gain[shared] = (members[shared] / (members[shared] - 1)).square()
        return maps[nearest], gain


def _flat(maps: Tensor) -> Tensor:
    """N x D, channels last: without a copy for maps in that memory format, as they are in training."""
    return (maps.permute(0, 2, 3, 1) if maps.ndim == 4 else maps).flatten(1)


def _mean(maps: Maps, members: NDArray[np.int64]) -> Tensor:
    """The mean of some of the maps, C x H x W in float32, a piece of them at a time."""
    _, c, h, w = maps.shape
    return torch.cat([block.mean(0) for block in _columns(maps, members, CHUNK)]).view(h, w, c).permute(2, 0, 1)
