"""Residuals: the element-wise squared difference between a feature map and its nearest prototype."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from protores.model.maps import Maps
from protores.model.prototypes import Prototypes


class Residuals(nn.Module):
    """form "squared": squared differences per scale; "log": log(1 + difference / its mean over normal images, per
    channel). Squares of features span five orders of magnitude; the logarithm brings them to the scale of the features.
    "none": the features as they are, which tells what prototypes and residuals are worth.
    """

    def __init__(self, prototypes: Prototypes, form: Literal["log", "squared", "none"]):
        super().__init__()
        self.prototypes = prototypes
        self.form = form

    def fit(self, features: Sequence[Maps], seed: int, most: int | None = None) -> None:
        """Makes the prototypes from the normal images' features (Prototypes.fit)."""
        self.prototypes.fit(features, seed, most)

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[Tensor]:
        """features: B x C x H x W per scale; source: see Prototypes. Returns the same shapes, values >= 0."""
        if self.form == "none":
            return features
        nearest = self.prototypes(features, source)
        return [
            self._residual(s, feature, *found)
            for s, (feature, found) in enumerate(zip(features, nearest, strict=True))
        ]

    def _residual(self, s: int, feature: Tensor, nearest: Tensor, gain: Tensor) -> Tensor:
        scale = gain.view(-1, 1, 1, 1)
        if self.form == "log":
            scale = scale / getattr(self.prototypes, f"spread_{s}").view(1, -1, 1, 1)
        squared = (feature - nearest.to(feature.dtype)).square_().mul_(scale.to(feature.dtype))
        return squared.log1p_() if self.form == "log" else squared
