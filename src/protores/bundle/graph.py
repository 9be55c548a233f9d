"""From a trained PRN to the module that is exported: the same function with nothing in it that only training needs.

This is the one place where the deployed network may differ in form from the trained one. It takes a copy, and what
it gives stays within 1e-4 of `network.anomaly_map(image)` in float32, which a test and every export check. What
each change of form gains is in docs/performance.md.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protores.model.backbone import fold_batch_norm
from protores.model.context import STRIDE, WINDOW
from protores.model.decoder import Decoder
from protores.model.network import PRN
from protores.model.prototypes import Prototypes
from protores.model.residuals import Residuals

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
        return self.context(torch.sigmoid(self.network(image))).clamp(0, 1)  # rounding reaches beyond


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


class LogResiduals(nn.Module):
    """Residuals with `log`, the logarithm by roots: OpenVINO has fast roots on a CPU, but no fast logarithm."""

    def __init__(self, trained: Residuals):
        super().__init__()
        self.prototypes = trained.prototypes

    def forward(self, features: list[Tensor], source: None = None) -> list[Tensor]:
        """As Residuals.forward for images that no prototype is made from."""
        residuals = []
        for s, (feature, (nearest, _)) in enumerate(zip(features, self.prototypes(features), strict=True)):
            scaled = (feature - nearest) * getattr(self.prototypes, f"spread_{s}").rsqrt().view(1, -1, 1, 1)
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
    copied.residuals.prototypes = StoredPrototypes(copied.residuals.prototypes, centred)
    if copied.residuals.form == "log":
        copied.residuals = LogResiduals(copied.residuals)
    return Deployed(copied, size).eval().requires_grad_(False)


def map_size(network: PRN) -> tuple[int, int]:
    """Height and width of the images and maps that the prototypes are for."""
    height, width = network.residuals.prototypes.maps_0.shape[-2:]
    return FINEST * height, FINEST * width


@torch.no_grad()
def _logits_size(network: PRN, size: tuple[int, int]) -> tuple[int, int]:
    """Size of the decoder's logits before they are enlarged, for images of this size."""
    shapes = []
    handle = network.decoder.head.register_forward_hook(lambda head, given, logits: shapes.append(logits.shape[-2:]))
    network(torch.zeros(1, 3, *size))
    handle.remove()
    return tuple(shapes[0])
