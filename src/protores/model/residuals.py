"""Residuals: the element-wise squared difference between a feature map and its nearest prototype."""

import torch
from torch import Tensor, nn

from protores.model.prototypes import Prototypes


class Residuals(nn.Module):
    """Squared differences per scale; with `log`, log(1 + difference / its mean over normal images, per channel).

    Squares of features span five orders of magnitude; the logarithm brings them to the scale of the features.
    """

    def __init__(self, prototypes: Prototypes, log: bool):
        super().__init__()
        self.prototypes = prototypes
        self.log = log

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[Tensor]:
        """features: B x C x H x W per scale; source: see Prototypes. Returns the same shapes, values >= 0."""
        residuals = []
        for s, (feature, (nearest, gain)) in enumerate(zip(features, self.prototypes(features, source), strict=True)):
            squared = (feature - nearest.to(feature.dtype)).square()
            scale = gain.view(-1, 1, 1, 1)
            if self.log:
                scale = scale / getattr(self.prototypes, f"spread_{s}").view(1, -1, 1, 1)
            squared = squared * scale.to(feature.dtype)
            residuals.append(torch.log1p(squared) if self.log else squared)
        return residuals
