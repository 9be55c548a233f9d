"""From a trained PRN to the module that is exported: the same function with nothing in it that only training needs.

This is the one place where the deployed network may differ in form from the trained one. It takes a copy, and what
it gives stays within 1e-4 of `network.anomaly_map(image)` in float32, which a test and every export check. What
each change of form gains is in docs/performance.md.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protores.bundle.stored import LogResiduals, StoredLocal, StoredProducts, StoredPrototypes
from protores.model.backbone import fold_batch_norm
from protores.model.context import STRIDE, WINDOW
from protores.model.decoder import Decoder
from protores.model.network import PRN
from protores.model.products import ProductResiduals

FINEST = 4
"""Pixels of the input along a side of a pixel of the finest feature map."""


class Deployed(nn.Module):
    """image, B x 3 x H x W float32 in [0, 1], RGB -> anomaly map, B x H x W float32 in [0, 1]."""

    def __init__(self, network: PRN, size: tuple[int, int]):
        super().__init__()
        self.network = network
        self.context = MatrixContext(*size, network.context) if network.context else nn.Identity()

    @property
    def prototypes(self) -> int:
        """How many there are at the finest scale."""
        return len(self.network.residuals.prototypes.maps_0)

    def forward(self, image: Tensor) -> Tensor:
        return self.finished(self.network(image))

    def finished(self, logits: Tensor) -> Tensor:
        """The map of logits, B x H x W."""
        return self.context(torch.sigmoid(logits)).clamp(0, 1)  # rounding reaches beyond


class ProductDeployed(Deployed):
    """image, B x 3 x H x W float32 in [0, 1], RGB -> anomaly map, B x H x W float32 in [0, 1], and how far the image
    lies from each product (model/products.py), B x P float32."""

    def __init__(self, network: PRN, size: tuple[int, int]):
        super().__init__(network, size)
        self.size = size

    @property
    def prototypes(self) -> int:
        return len(self.network.residuals.maps_0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        stem = self.network.backbone.stem(image)
        features = self.network.backbone.body(stem)
        residuals, distances = self.network.residuals(features)
        return self.finished(self.network.decode(stem, features, residuals, self.size)), distances


class MatrixDecoder(nn.Module):
    """The decoder with the last bilinear enlargement, of a single channel, as two matrix products.

    small: size of what is enlarged; size: of the map.
    """

    def __init__(self, trained: Decoder, small: tuple[int, int], size: tuple[int, int]):
        super().__init__()
        self.trained = trained
        self.small = small
        self.register_buffer("rows", enlargement(small[0], size[0]))
        self.register_buffer("columns", enlargement(small[1], size[1]).T.contiguous())

    def forward(self, *inputs: list[Tensor] | Tensor | tuple[int, int]) -> Tensor:
        """As Decoder.forward; the size, its last input, is the one this was made for."""
        return self.rows @ self.trained(*inputs[:-1], self.small) @ self.columns


class MatrixContext(nn.Module):
    """with_context as matrix products, for the same reason: its means and their enlargement work on each axis alone."""

    def __init__(self, height: int, width: int, share: float):
        super().__init__()
        self.share = share
        for name, side in (("rows", height), ("columns", width)):
            means = F.avg_pool1d(torch.eye(side)[None], WINDOW, STRIDE, (WINDOW - STRIDE) // 2, count_include_pad=False)
            self.register_buffer(f"means_{name}", means[0].T.contiguous())
            self.register_buffer(f"enlarged_{name}", enlargement(side // STRIDE, side))

    def forward(self, maps: Tensor) -> Tensor:
        means = self.means_rows @ maps @ self.means_columns.T
        return maps + self.share * (self.enlarged_rows @ means @ self.enlarged_columns.T - maps)


def enlargement(small: int, large: int) -> Tensor:
    """Bilinear enlargement of one axis as a matrix, large x small."""
    return F.interpolate(torch.eye(small)[None], size=large, mode="linear", align_corners=False)[0].T.contiguous()


def deployed(network: PRN, centred: bool = True) -> Deployed:
    """The network to export, in eval mode; `network` is left as it is. centred: see StoredPrototypes."""
    copied = copy.deepcopy(network).cpu().float().to(memory_format=torch.contiguous_format).eval()
    fold_batch_norm(copied)
    size = map_size(copied)
    small = _logits_size(copied, size)
    if small != size:
        copied.decoder = MatrixDecoder(copied.decoder, small, size)
    if isinstance(copied.residuals, ProductResiduals):
        copied.residuals = StoredProducts(copied.residuals, centred)
        return ProductDeployed(copied, size).eval().requires_grad_(False)
    copied.residuals.prototypes = StoredPrototypes(copied.residuals.prototypes, centred)
    if copied.residuals.local is not None:
        copied.residuals.local = StoredLocal(copied.residuals.local, centred)
    if copied.residuals.form == "log":
        copied.residuals = LogResiduals(copied.residuals)
    return Deployed(copied, size).eval().requires_grad_(False)


def map_size(network: PRN) -> tuple[int, int]:
    """Height and width of the images and maps that the prototypes are for."""
    residuals = network.residuals
    one = residuals.products[0] if isinstance(residuals, ProductResiduals) else residuals
    height, width = one.prototypes.maps_0.shape[-2:]
    return FINEST * height, FINEST * width


@torch.no_grad()
def _logits_size(network: PRN, size: tuple[int, int]) -> tuple[int, int]:
    """Size of the decoder's logits before they are enlarged, for images of this size."""
    shapes = []
    handle = network.decoder.head.register_forward_hook(lambda head, given, logits: shapes.append(logits.shape[-2:]))
    network(torch.zeros(1, 3, *size))
    handle.remove()
    return tuple(shapes[0])
