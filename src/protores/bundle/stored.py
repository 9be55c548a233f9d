"""Prototypes and residuals in the form that a bundle holds them in."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protores.model.local import LocalPrototypes
from protores.model.products import ProductResiduals
from protores.model.prototypes import Prototypes
from protores.model.residuals import Residuals

FAR = 1e30
"""Added to the distance to another product's prototype."""


class StoredPrototypes(nn.Module):
    """Prototypes as a bundle holds them: in half precision, without those that no image belongs to.

    Where `centred`, distances are taken from the prototypes' mean m:
    |f - p|² = |f - m|² - 2 (f - m) · (p - m) + |p - m|². Its numbers are small, so that the nearest stays the nearest
    in bfloat16. A runtime makes p - m when it loads the graph, and holds p beside it; float32 needs no mean and spares
    that memory. They are kept flat, K x C H W: a runtime that has to turn them into rows copies them once more.
    """

    def __init__(self, trained: Prototypes, centred: bool = True):
        super().__init__()
        self.centred = centred
        self.scales = trained.scales
        self.averaged = trained.averaged
        self.whole = trained.cells == 1
        for s in range(self.scales):
            used = getattr(trained, f"norms_{s}").isfinite()
            maps = getattr(trained, f"maps_{s}")[used].contiguous()
            matched = trained.averaged(maps).half().flatten(1)
            mean = matched.float().mean(0, keepdim=True)
            self.register_buffer(f"maps_{s}", maps.half().flatten(1))
            if not self.whole:
                self.register_buffer(f"matched_{s}", matched)
            if centred:
                self.register_buffer(f"mean_{s}", mean)
            self.register_buffer(f"norms_{s}", (matched.float() - mean * centred).square().sum(1))
            self.register_buffer(f"spread_{s}", getattr(trained, f"spread_{s}"))
        self.register_buffer("gain", torch.ones(1))

    def forward(self, features: list[Tensor], source: None = None) -> list[tuple[Tensor, Tensor]]:
        """As Prototypes.forward for images that no prototype is made from."""
        return [self._nearest(s, feature) for s, feature in enumerate(features)]

    def _nearest(self, s: int, feature: Tensor) -> tuple[Tensor, Tensor]:
        maps, norms = getattr(self, f"maps_{s}"), getattr(self, f"norms_{s}")
        matched = (maps if self.whole else getattr(self, f"matched_{s}")).float()
        given = self.averaged(feature).flatten(1)
        if self.centred:
            mean = getattr(self, f"mean_{s}")
            matched, given = matched - mean, given - mean
        distance = norms - 2 * F.linear(given, matched)
        return maps.index_select(0, distance.argmin(1)).float().view_as(feature), self.gain


class StoredLocal(nn.Module):
    """Local prototypes as a bundle holds them: without those that no position belongs to. centred: as above."""

    def __init__(self, trained: LocalPrototypes, centred: bool = True):
        super().__init__()
        self.centred = centred
        self.scales = trained.scales
        for s in range(self.scales):
            vectors = getattr(trained, f"vectors_{s}")[getattr(trained, f"norms_{s}").isfinite()].contiguous()
            mean = vectors.mean(0, keepdim=True)
            self.register_buffer(f"vectors_{s}", vectors)
            if centred:
                self.register_buffer(f"mean_{s}", mean)
            self.register_buffer(f"norms_{s}", (vectors - mean * centred).square().sum(1))
            self.register_buffer(f"spread_{s}", getattr(trained, f"spread_{s}"))
        self.register_buffer("gain", torch.ones(1))

    def forward(self, features: list[Tensor], source: None = None) -> list[tuple[Tensor, Tensor]]:
        """As LocalPrototypes.forward."""
        return [(self._nearest(s, feature), self.gain) for s, feature in enumerate(features)]

    def _nearest(self, s: int, feature: Tensor) -> Tensor:
        vectors = matched = getattr(self, f"vectors_{s}")
        given = feature.flatten(2).transpose(1, 2)
        if self.centred:
            mean = getattr(self, f"mean_{s}")
            matched, given = vectors - mean, given - mean
        nearest = (getattr(self, f"norms_{s}") - 2 * F.linear(given, matched)).argmin(2)
        return F.embedding(nearest, vectors).transpose(1, 2).reshape(feature.shape)


class LogResiduals(nn.Module):
    """Residuals with `log`, the logarithm by roots: OpenVINO has fast roots on a CPU, but no fast logarithm."""

    def __init__(self, trained: Residuals):
        super().__init__()
        self.prototypes, self.local = trained.prototypes, trained.local

    def forward(self, features: list[Tensor], source: None = None) -> list[Tensor]:
        """As Residuals.forward for images that no prototype is made from."""
        each = [
            self._residuals(prototypes, features)
            for prototypes in (self.prototypes, self.local)
            if prototypes is not None
        ]
        return [torch.cat(parts, 1) if len(parts) > 1 else parts[0] for parts in zip(*each, strict=True)]

    def _residuals(self, prototypes: StoredPrototypes | StoredLocal, features: list[Tensor]) -> list[Tensor]:
        residuals = []
        for s, (feature, (nearest, _)) in enumerate(zip(features, prototypes(features), strict=True)):
            scaled = (feature - nearest) * getattr(prototypes, f"spread_{s}").rsqrt().view(1, -1, 1, 1)
            residuals.append(log1p(scaled * scaled))
        return residuals


def log1p(x: Tensor) -> Tensor:
    """log(1 + x) for x >= 0, within 1e-5 up to 1e6 and 1e-4 up to 1e8.

    It is 32 log(r), r the 32nd root of 1 + x, and log(r) = 2 artanh(z) with z = (r - 1) / (r + 1), here by the first
    four terms of its series: z stays small.
    """
    root = (1 + x).sqrt().sqrt().sqrt().sqrt().sqrt()
    z = (root - 1) / (root + 1)
    square = z * z
    return 64 * z * (1 + square * (1 / 3 + square * (1 / 5 + square / 7)))


class StoredProducts(nn.Module):
    """All products' prototypes, one product's behind the other's, as StoredPrototypes holds those of one."""

    def __init__(self, trained: ProductResiduals, centred: bool):
        super().__init__()
        self.centred, self.form = centred, trained.products[0].form
        self.averaged, self.whole = trained.prototypes[0].averaged, trained.prototypes[0].cells == 1
        self.scales = trained.prototypes[0].scales
        kept = [StoredPrototypes(prototypes, centred=False) for prototypes in trained.prototypes]
        self.counts = [[len(getattr(part, f"maps_{s}")) for part in kept] for s in range(self.scales)]
        self.register_buffer("usual", trained.usual)
        for s in range(self.scales):
            own = [getattr(part, f"maps_{s}") for part in kept]
            matched = torch.cat([getattr(part, f"matched_{s}") for part in kept] if not self.whole else own).float()
            mean = matched.mean(0, keepdim=True) * centred
            self.register_buffer(f"maps_{s}", torch.cat(own))
            if not self.whole:
                self.register_buffer(f"matched_{s}", matched.half())
            if centred:
                self.register_buffer(f"mean_{s}", mean)
            self.register_buffer(f"norms_{s}", (matched - mean).square().sum(1))
            self.register_buffer(f"spread_{s}", torch.stack([getattr(part, f"spread_{s}") for part in kept]))
            places = torch.arange(len(kept)).repeat_interleave(torch.tensor([len(maps) for maps in own]))
            self.register_buffer(f"others_{s}", FAR * (places != torch.arange(len(kept))[:, None]).float())

    def forward(self, features: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Residuals per scale and distances, B x P, as ProductResiduals gives them for images without a source."""
        matched = [self._distances(s, feature) for s, feature in enumerate(features)]
        each = [
            torch.stack([part.amin(1) for part in found.split(self.counts[s], 1)], 1) / self.usual[s]
            for s, found in enumerate(matched)
        ]
        distances = torch.stack(each).mean(0)
        product = distances.argmin(1)
        residuals = [
            self._residual(s, feature, found, product)
            for s, (feature, found) in enumerate(zip(features, matched, strict=True))
        ]
        return residuals, distances

    def _distances(self, s: int, feature: Tensor) -> Tensor:
        """Mean squared difference to each prototype, B x K."""
        given = self.averaged(feature).flatten(1)
        prototypes = (getattr(self, f"maps_{s}") if self.whole else getattr(self, f"matched_{s}")).float()
        if self.centred:
            mean = getattr(self, f"mean_{s}")
            given, prototypes = given - mean, prototypes - mean
        products = F.linear(given, prototypes)
        own = given.square().sum(1, keepdim=True)
        return (own + getattr(self, f"norms_{s}") - 2 * products) / given.shape[1]

    def _residual(self, s: int, feature: Tensor, distances: Tensor, product: Tensor) -> Tensor:
        """Of each image to the nearest prototype of its product."""
        if self.form == "none":
            return feature
        nearest = (distances + getattr(self, f"others_{s}").index_select(0, product)).argmin(1)
        difference = feature - getattr(self, f"maps_{s}").index_select(0, nearest).float().view_as(feature)
        if self.form == "squared":
            return difference * difference
        scaled = difference * getattr(self, f"spread_{s}").index_select(0, product).rsqrt()[:, :, None, None]
        return log1p(scaled * scaled)
