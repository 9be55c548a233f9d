"""The U-shaped decoder of figure 3: bottom up x2, joined with the fused map of that scale, two 3x3 convolutions;
three such stages, then up to the size of the input. Where a stage has fewer channels than what comes from
below, a 1x1 convolution narrows that before it is enlarged, not after.

Ours: a last, narrow stage at 1/2 which is joined with the backbone's stem, for outlines sharper than the cells of 1/4.
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


class Detail(nn.Module):
    """The last stage: what the decoder knows at 1/4, enlarged, beside what the stem sees at 1/2."""

    def __init__(self, inputs: int, stem: int, width: int):
        super().__init__()
        self.coarse = conv_norm(inputs, width)
        self.fine = nn.Sequential(conv_norm(stem, width), nn.ReLU(inplace=True))
        self.join = nn.Sequential(conv_norm(2 * width, width, kernel=3), nn.ReLU(inplace=True))

    def forward(self, x: Tensor, stem: Tensor) -> Tensor:
        """x: B x C x h x w; stem: B x S x 2h x 2w. Returns B x width x 2h x 2w."""
        return self.join(torch.cat([upsample(self.coarse(x)), self.fine(stem)], dim=1))


class Decoder(nn.Module):
    """From the fused maps and the bottom to logits.

    channels: of the fused maps, fine to coarse. bottom: channels of the bottom. stages: channels after each
    stage, fine to coarse. stem: channels of the backbone's stem; detail: those of the stage at 1/2, 0 for none.
    stride: the last 3x3 convolution runs at 1/stride of the input (4, 2 or 1), and its logits are enlarged.
    """

    def __init__(
        self, channels: tuple[int, ...], bottom: int, stages: tuple[int, ...], stem: int, detail: int, stride: int
    ):
        super().__init__()
        below = (*stages[1:], bottom)
        self.narrow = nn.ModuleList(
            nn.Conv2d(b, s, 1) if b > s else nn.Identity() for b, s in zip(below, stages, strict=True)
        )
        self.stages = nn.ModuleList(
            double_conv(c + min(b, s), s) for c, b, s in zip(channels, below, stages, strict=True)
        )
        self.detail = Detail(stages[0], stem, detail) if detail else None
        self.enlarge = (2 if detail else 4) // stride
        self.head = nn.Conv2d(detail or stages[0], 1, 3, padding=1)

    def forward(self, maps: list[Tensor], bottom: Tensor, stem: Tensor, size: tuple[int, ...]) -> Tensor:
        """maps: B x C_s x H_s x W_s, fine to coarse; bottom: half as large as the coarsest; stem: twice the finest.

        Returns logits, B x H x W in float32, size = (H, W).
        """
        x = bottom
        for narrow, stage, skip in zip(self.narrow[::-1], self.stages[::-1], reversed(maps), strict=True):
            x = stage(torch.cat([upsample(narrow(x)), skip], dim=1))
        if self.detail is not None:
            x = self.detail(x, stem)
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear", align_corners=False)
        logits = self.head(x).float()
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False).squeeze(1)
