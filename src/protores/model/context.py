"""The last touch on an anomaly map (ours): a share of each pixel's surroundings, by which a lone pixel counts for less
than one beside many."""

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, STRIDE = 40, 8


def with_context(maps: Tensor, share: float) -> Tensor:
    """(1 - share) x map + share x its mean over WINDOW x WINDOW pixels; share 0 gives the maps themselves.

    maps: B x H x W, H and W multiples of 8. The means are taken every STRIDE pixels and enlarged bilinearly; at a
    border they are those of the pixels that there are.
    """
    if not share:
        return maps
    padding = (WINDOW - STRIDE) // 2
    means = F.avg_pool2d(maps[:, None], WINDOW, STRIDE, padding, count_include_pad=False)
    wide = F.interpolate(means, size=maps.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return torch.lerp(maps, wide, share)
