"""Loss between map and mask: the paper's smooth-L1 + 5 x focal (gamma 4, alpha 0.5), and Dice beside them (ours)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FOCAL_WEIGHT, ALPHA = 5.0, 0.5


class Terms(NamedTuple):
    """The terms of the loss, unweighted, scalars."""

    smooth_l1: Tensor
    focal: Tensor
    dice: Tensor

    def total(self, dice: float) -> Tensor:
        """Their weighted sum; dice: weight of the Dice term, 0 for the paper's loss."""
        return self.smooth_l1 + FOCAL_WEIGHT * self.focal + dice * self.dice


def segmentation_loss(
    logits: Tensor,
    mask: Tensor,
    valid: Tensor | None = None,
    summed: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Terms:
    """The terms over the valid pixels of a batch.

    logits: B x H x W float32. mask: the same shape, 0 or 1. valid: the same shape, False where nothing counts.
    summed: adds up the sums of several processes that share a batch; the terms are those of the whole batch then.

    With a binary mask the paper's two follow from how wrong the map is, w = |p - mask| = sigmoid of the logit with its
    sign turned in the mask: smooth-L1 (at its usual beta of 1) is w^2 / 2, and focal loss (Lin et al. 2017, eq. 5) is
    alpha_t w^4 softplus(turned logit); alpha = 0.5 weighs defect and background alike. Both are averaged.
    Dice (Milletari et al. 2016, eq. 1, as a loss) is 1 - 2 sum p m / (sum p^2 + sum m^2), over the whole batch at once,
    with a pixel added above and below.
    """
    turned = logits * (1 - 2 * mask)
    wrong = torch.sigmoid(turned)
    squared = wrong * wrong
    focal = ALPHA * squared * squared * F.softplus(turned)
    found = torch.sigmoid(logits)
    count = torch.tensor(mask.numel(), device=mask.device)
    if valid is not None:
        squared, focal, found, mask = squared * valid, focal * valid, found * valid, mask * valid
        count = valid.sum()
    both, either = (found * mask).sum(), found.square().sum() + mask.sum()
    sums = torch.stack([squared.sum(), focal.sum(), both, either, count.to(mask.dtype)])
    squared, focal, both, either, count = summed(sums).unbind()
    count = count.clamp(min=1)
    return Terms(0.5 * squared / count, focal / count, 1 - (2 * both + 1) / (either + 1))
