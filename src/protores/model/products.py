"""Several products in one network: prototypes of each product's own, everything else shared.

Which product an image shows is told by the nearest prototype of all. Scales are matched apart, so their distances are
brought to one measure and averaged: an image has one product, and the nearest of its prototypes at each scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from protores.model.maps import Maps
from protores.model.prototypes import NO_SOURCE, Prototypes
from protores.model.residuals import Residuals


class ProductResiduals(nn.Module):
    """Residuals of each image to the prototypes of its product.

    products: the residuals of one product each, whose prototypes are made from its own normal images.
    """

    def __init__(self, products: Sequence[Residuals]):
        super().__init__()
        self.products = nn.ModuleList(products)

    @property
    def prototypes(self) -> list[Prototypes]:
        """Of each product."""
        return [product.prototypes for product in self.products]

    @property
    def images(self) -> list[int]:
        """How many normal images each product has."""
        return [len(prototypes.clusters_0) for prototypes in self.prototypes]

    @property
    def sets(self) -> int:
        """As of Residuals."""
        return self.products[0].sets

    def fit(self, features: Sequence[Maps], seed: int, most: int | None = None) -> None:
        """Makes every product's prototypes; features: of all products' normal images, one product behind the other."""
        first = 0
        for product, images in zip(self.products, self.images, strict=True):
            product.fit([maps[first : first + images] for maps in features], seed, most)
            first += images

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[Tensor]:
        """features: B x C x H x W per scale. source: see Prototypes; counts through all products' normal images. An
        image with a source is of that product; what an image without one shows is recognised."""
        own = self._products(features, source)
        found = [torch.empty_like(feature) for feature in features]
        first = 0
        for p, (product, images) in enumerate(zip(self.products, self.images, strict=True)):
            rows = (own == p).nonzero().flatten()
            if len(rows):
                local = None if source is None else _within(source[rows], first)
                for kept, part in zip(found, product([f[rows] for f in features], local), strict=True):
                    kept[rows] = part
            first += images
        return found

    @torch.no_grad()
    def distances(self, features: list[Tensor]) -> Tensor:
        """How far each image lies from each product, B x P: the mean over the scales of the squared distance to its
        nearest prototype, in units of the mean over all products of what is usual between good images there."""
        return torch.stack([(p.distances(features) / self.usual).mean(1) for p in self.prototypes], 1)

    @property
    def usual(self) -> Tensor:
        """Mean squared residual of a normal image at each scale, over all products."""
        spreads = [[getattr(p, f"spread_{s}").mean() for s in range(p.scales)] for p in self.prototypes]
        return torch.stack([torch.stack(spread) for spread in spreads]).mean(0)

    def _products(self, features: list[Tensor], source: Tensor | None) -> Tensor:
        """The product of each image, B numbers."""
        if source is None:
            return self.distances(features).argmin(1)
        ends = torch.tensor(self.images, device=source.device).cumsum(0)
        own = torch.searchsorted(ends, source, right=True)
        unknown = (source == NO_SOURCE).nonzero().flatten()
        if len(unknown):
            own[unknown] = self.distances([feature[unknown] for feature in features]).argmin(1)
        return own


def _within(source: Tensor, first: int) -> Tensor:
    """Sources as one product counts them, whose normal images begin at `first`."""
    return torch.where(source == NO_SOURCE, source, source - first)
