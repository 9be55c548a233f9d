"""Loss of the paper: smooth-L1 + 5 x focal (gamma 4, alpha 0.5) between map and mask."""

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT, GAMMA, ALPHA = 5.0, 4.0, 0.5


def focal(logits: Tensor, mask: Tensor, gamma: float = GAMMA, alpha: float = ALPHA) -> Tensor:
    """Focal loss per pixel (Lin et al. 2017, eq. 5): alpha_t (1 - p_t)^gamma x cross-entropy. Same shape as `mask`."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    wrong = (torch.sigmoid(logits) - mask).abs()
    weight = alpha * mask + (1 - alpha) * (1 - mask)
    return weight * wrong**gamma * cross_entropy


def segmentation_loss(logits: Tensor, mask: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The two terms, smooth-L1 and focal, unweighted, averaged over the valid pixels.

    logits: B x H x W float32. mask: the same shape, in [0, 1]. valid: the same shape, False where nothing counts.
    """
    smooth = F.smooth_l1_loss(torch.sigmoid(logits), mask, reduction="none")
    hard = focal(logits, mask)
    if valid is None:
        return smooth.mean(), hard.mean()
    count = valid.sum().clamp(min=1)
    return (smooth * valid).sum() / count, (hard * valid).sum() / count
