"""From a trained PRN to the module that is exported: the same function with nothing in it that only training needs.

This is the one place where the deployed network may differ in form from the trained one. It takes a copy, and what
it gives stays within 1e-4 of `torch.sigmoid(network(image))` in float32, which a test and every export check.
"""

import copy

import torch
from torch import Tensor, nn

from protores.model.backbone import fold_batch_norm
from protores.model.network import PRN
from protores.model.prototypes import Prototypes


class Deployed(nn.Module):
    """image, B x 3 x H x W float32 in [0, 1], RGB -> anomaly map, B x H x W float32 in [0, 1]."""

    def __init__(self, network: PRN):
        super().__init__()
        self.network = network

    @property
    def prototypes(self) -> int:
        """How many there are at the finest scale."""
        return len(self.network.residuals.prototypes.maps_0)

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.network(image))


class StoredPrototypes(nn.Module):
    """Prototypes as a bundle holds them: in half precision, without those that no image belongs to."""

    def __init__(self, trained: Prototypes):
        super().__init__()
        self.scales = trained.scales
        for s in range(self.scales):
            maps, norms = getattr(trained, f"maps_{s}"), getattr(trained, f"norms_{s}")
            used = norms.isfinite()
            self.register_buffer(f"maps_{s}", maps[used].contiguous().half())
            self.register_buffer(f"norms_{s}", norms[used])
            self.register_buffer(f"spread_{s}", getattr(trained, f"spread_{s}"))
        self.register_buffer("gain", torch.ones(1))

    def forward(self, features: list[Tensor], source: None = None) -> list[tuple[Tensor, Tensor]]:
        """As Prototypes.forward for images that no prototype is made from."""
        return [self._nearest(s, feature) for s, feature in enumerate(features)]

    def _nearest(self, s: int, feature: Tensor) -> tuple[Tensor, Tensor]:
        maps, norms = getattr(self, f"maps_{s}"), getattr(self, f"norms_{s}")
        distance = norms - 2 * feature.flatten(1) @ maps.float().flatten(1).T
        return maps[distance.argmin(1)].float(), self.gain


def deployed(network: PRN) -> Deployed:
    """The network to export, in eval mode; `network` is left as it is."""
    copied = copy.deepcopy(network).cpu().float().to(memory_format=torch.contiguous_format).eval()
    fold_batch_norm(copied)
    copied.residuals.prototypes = StoredPrototypes(copied.residuals.prototypes)
    return Deployed(copied).eval().requires_grad_(False)
