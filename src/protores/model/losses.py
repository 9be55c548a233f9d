"""Loss of the paper: smooth-L1 + 5 x focal (gamma 4, alpha 0.5) between map and mask."""

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT, ALPHA = 5.0, 0.5


def segmentation_loss(logits: Tensor, mask: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The two terms, smooth-L1 and focal, unweighted, averaged over the valid pixels.

    logits: B x H x W float32. mask: the same shape, 0 or 1. valid: the same shape, False where nothing counts.

    With a binary mask both follow from how wrong the map is, w = |p - mask| = sigmoid of the logit with its sign
    turned in the mask: smooth-L1 (at its usual beta of 1) is w^2 / 2, and focal loss (Lin et al. 2017, eq. 5) is
    alpha_t w^4 softplus(turned logit); alpha = 0.5 weighs defect and background alike.
    """
    turned = logits * (1 - 2 * mask)
    wrong = torch.sigmoid(turned)
    squared = wrong * wrong
    smooth = 0.5 * squared
    focal = ALPHA * squared * squared * F.softplus(turned)
    if valid is None:
        return smooth.mean(), focal.mean()
    count = valid.sum().clamp(min=1)
    return (smooth * valid).sum() / count, (focal * valid).sum() / count
