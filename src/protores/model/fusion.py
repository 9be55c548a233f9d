"""Multi-scale fusion: every scale gets the sum of all scales, HRNet's exchange (figure 3, "multi-scale fusion").

Up: 1x1 convolution, then bilinear; down: strided 3x3 convolutions. Coarser maps travel up step by step, so a
fine map is written once and not once per coarser scale.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm, size kept at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)
    )


def upsample(x: Tensor) -> Tensor:
    """Bilinear x2."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Reduction(nn.Module):
    """A 1x1 convolution per scale that brings the channels to `widths`."""

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...]):
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(conv_norm(c, w), nn.ReLU(inplace=True))
            for c, w in zip(channels, widths, strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [reduce(x) for reduce, x in zip(self.scales, maps, strict=True)]


class Fusion(nn.Module):
    """Exchange between scales, each half the size of the one before; shapes are kept."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        pairs = list(zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(conv_norm(coarse, fine) for fine, coarse in pairs)
        self.down = nn.ModuleList(conv_norm(fine, coarse, kernel=3, stride=2) for fine, coarse in pairs)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """maps: B x C_s x H_s x W_s, fine to coarse. Returns the same shapes."""
        fused = list(maps)
        for s in reversed(range(len(self.up))):
            fused[s] = maps[s] + upsample(self.up[s](fused[s + 1]))
        finer = maps[0]
        for s, down in enumerate(self.down, start=1):
            arriving = down(finer)
            fused[s] = fused[s] + arriving
            finer = maps[s] + arriving
        return [F.relu(x) for x in fused]


class Separate(nn.Module):
    """In place of Fusion, for what the exchange is worth: a 3x3 convolution at each scale, which hears of no other."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        self.scales = nn.ModuleList(conv_norm(width, width, kernel=3) for width in widths)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """As Fusion.forward."""
        return [F.relu(x + scale(x)) for scale, x in zip(self.scales, maps, strict=True)]
