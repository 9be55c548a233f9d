"""Residuals: the element-wise squared difference between a feature map and its nearest prototype."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from protores.model.local import LocalPrototypes
from protores.model.maps import Maps
from protores.model.prototypes import Prototypes


class Residuals(nn.Module):
    """form "squared": squared differences per scale; "log": log(1 + difference / its mean over normal images, per
    channel). Squares of features span five orders of magnitude; the logarithm brings them to the scale of the features.
    "none": the features as they are, which tells what prototypes and residuals are worth.

    local: prototypes of single positions beside those of whole maps. Their residuals follow the others' channels.
    """

    def __init__(
        self, prototypes: Prototypes, form: Literal["log", "squared", "none"], local: LocalPrototypes | None = None
    ):
        super().__init__()
        self.prototypes = prototypes
        self.local = local
        self.form = form

    @property
    def sets(self) -> int:
        """How often the channels of a feature map are in its residuals."""
        return 1 if self.local is None else 2

    def fit(self, features: Sequence[Maps], seed: int, most: int | None = None) -> None:
        """Makes the prototypes from the normal images' features (Prototypes.fit)."""
        self.prototypes.fit(features, seed, most)
        if self.local is not None:
            self.local.fit(features, seed)

    @torch.no_grad()
    def forward(self, features: list[Tensor], source: Tensor | None = None) -> list[Tensor]:
        """features: B x C x H x W per scale; source: see Prototypes.

        Returns B x C x H x W per scale, with local prototypes B x 2C x H x W; values >= 0.
        """
        if self.form == "none":
            return features
        each = [
            [
                self._residual(prototypes, s, feature, *found)
                for s, (feature, found) in enumerate(zip(features, prototypes(features, source), strict=True))
            ]
            for prototypes in (self.prototypes, self.local)
            if prototypes is not None
        ]
        return [torch.cat(parts, 1) if len(parts) > 1 else parts[0] for parts in zip(*each, strict=True)]

    def _residual(
        self, prototypes: Prototypes | LocalPrototypes, s: int, feature: Tensor, nearest: Tensor, gain: Tensor
    ) -> Tensor:
        scale = gain.view(-1, 1, 1, 1)
        if self.form == "log":
            scale = scale / getattr(prototypes, f"spread_{s}").view(1, -1, 1, 1)
        squared = (feature - nearest.to(feature.dtype)).square_().mul_(scale.to(feature.dtype))
        return squared.log1p_() if self.form == "log" else squared
