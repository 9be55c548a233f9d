"""The U-shaped decoder of figure 3: bottom up x2, joined with the fused map of that scale, two 3x3 convolutions;
three such stages, then up to the size of the input. Where a stage has fewer channels than what comes from
below, a 1x1 convolution narrows that before it is enlarged, not after.
"""

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

    channels: of the fused maps, fine to coarse. bottom: channels of the bottom. stages: channels after each
    stage, fine to coarse. stride: the logits are made at 1/stride of the input (4, 2 or 1) and enlarged.
    output: "conv" enlarges features and then takes a 3x3 convolution, as the paper is read; "shuffle" lets the
    3x3 convolution at 1/4 give its sub-pixels at once, for a fraction of the cost.
    """

    def __init__(
        self, channels: tuple[int, ...], bottom: int, stages: tuple[int, ...], stride: int, output: str
    ):
        super().__init__()
        below = (*stages[1:], bottom)
        self.narrow = nn.ModuleList(
            nn.Conv2d(b, s, 1) if b > s else nn.Identity() for b, s in zip(below, stages, strict=True)
        )
        self.stages = nn.ModuleList(
            double_conv(c + min(b, s), s) for c, b, s in zip(channels, below, stages, strict=True)
        )
        self.stride = stride
        self.cells = 4 // stride if output == "shuffle" else 1
        self.head = nn.Conv2d(stages[0], self.cells**2, 3, padding=1)

    def forward(self, maps: list[Tensor], bottom: Tensor, size: tuple[int, ...]) -> Tensor:
        """maps: B x C_s x H_s x W_s, fine to coarse; bottom: half as large as the coarsest.

        Returns logits, B x H x W in float32, size = (H, W).
        """
        x = bottom
        for narrow, stage, skip in zip(self.narrow[::-1], self.stages[::-1], reversed(maps), strict=True):
            x = stage(torch.cat([upsample(narrow(x)), skip], dim=1))
        if self.cells == 1 and self.stride < 4:
            x = F.interpolate(x, scale_factor=4 / self.stride, mode="bilinear", align_corners=False)
        logits = F.pixel_shuffle(self.head(x), self.cells).float()
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False).squeeze(1)
