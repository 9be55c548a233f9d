"""The U-shaped decoder of figure 3: bottom up x2, joined with the fused map of that scale, two 3x3 convolutions;
three such stages, then up to the size of the input."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protores.model.fusion import conv_norm, upsample


def double_conv(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm and ReLU."""
    return nn.Sequential(
        conv_norm(inputs, outputs, kernel=3),
        nn.ReLU(inplace=True),
        conv_norm(outputs, outputs, kernel=3),
        nn.ReLU(inplace=True),
    )


class Decoder(nn.Module):
    """From the fused maps and the bottom to logits.

    channels: of the fused maps, fine to coarse. stages: channels after each stage, fine to coarse.
    bottom: channels of the backbone's fourth stage; 0 makes a bottom from the coarsest map by a strided 3x3.
    stride: the logits are made at 1/stride of the input (4, 2 or 1) and enlarged.
    output: "conv" enlarges features and then takes a 3x3 convolution, as the paper is read; "shuffle" lets the
    3x3 convolution at 1/4 give stride x stride sub-pixels at once, for a fraction of the cost.
    """

    def __init__(
        self, channels: tuple[int, ...], stages: tuple[int, ...], bottom: int, stride: int, output: str
    ):
        super().__init__()
        self.bottom = (
            nn.Sequential(conv_norm(channels[-1], stages[-1], kernel=3, stride=2), nn.ReLU()) if not bottom else None
        )
        below = (*stages[1:], bottom or stages[-1])
        self.stages = nn.ModuleList(
            double_conv(c + b, s) for c, b, s in zip(channels, below, stages, strict=True)
        )
        self.stride = stride
        self.cells = 4 // stride if output == "shuffle" else 1
        self.head = nn.Conv2d(stages[0], self.cells**2, 3, padding=1)

    def forward(self, maps: list[Tensor], bottom: Tensor | None, size: tuple[int, ...]) -> Tensor:
        """maps: B x C_s x H_s x W_s, fine to coarse. Returns logits, B x H x W in float32, size = (H, W)."""
        x = bottom if self.bottom is None else self.bottom(maps[-1])
        for stage, skip in zip(reversed(self.stages), reversed(maps), strict=True):
            x = stage(torch.cat([upsample(x), skip], dim=1))
        if self.cells == 1 and self.stride < 4:
            x = F.interpolate(x, scale_factor=4 / self.stride, mode="bilinear", align_corners=False)
        logits = F.pixel_shuffle(self.head(x), self.cells).float()
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False).squeeze(1)
