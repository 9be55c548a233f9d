"""Multi-size self-attention (figure 3): self-attentions side by side, each over patches of another size.

Every patch size is a head with its own share of the channels (M2TR, by the same group): q, k, v by a 1x1
convolution, a token is a flattened patch, heads are concatenated and joined by a 3x3 convolution, with a skip
connection and a small feed-forward behind. Over a single token attention is the identity: such a head passes
its values on and computes no scores.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from protores.model.fusion import conv_norm


def token_grid(side: int, grid: int) -> int:
    """Tokens along a side: the largest number up to `grid` that divides it."""
    return next(g for g in range(min(grid, side), 0, -1) if side % g == 0)


class MultiSizeAttention(nn.Module):
    """One block at one scale: B x C x H x W to the same shape.

    width: C, a multiple of the number of grids. grids: tokens per side, one head each.
    expansion: hidden channels of the feed-forward as a multiple of C; 0 leaves it out.
    """

    def __init__(self, width: int, grids: tuple[int, ...], expansion: float):
        super().__init__()
        self.grids = grids
        self.head = width // len(grids)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.join = conv_norm(width, width, kernel=3)
        hidden = int(width * expansion)
        self.feed = (
            nn.Sequential(conv_norm(width, hidden), nn.ReLU(inplace=True), conv_norm(hidden, width))
            if hidden
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(x).split(3 * self.head, dim=1)
        x = x + F.relu(
            self.join(torch.cat([self._attend(h, g) for h, g in zip(heads, self.grids, strict=True)], 1))
        )
        return x if self.feed is None else x + self.feed(x)

    def _attend(self, qkv: Tensor, grid: int) -> Tensor:
        """qkv: B x 3c x H x W. Scaled dot-product attention over the patches of a grid: B x c x H x W."""
        b, _, h, w = qkv.shape
        rows, columns = token_grid(h, grid), token_grid(w, grid)
        if rows * columns == 1:
            return qkv[:, 2 * self.head :]
        ph, pw = h // rows, w // columns
        tokens = qkv.permute(0, 2, 3, 1).reshape(b, rows, ph, columns, pw, 3, self.head)
        q, k, v = tokens.permute(5, 0, 1, 3, 2, 4, 6).reshape(3, b, 1, rows * columns, -1).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        out = (
            out.reshape(b, rows, columns, ph, pw, self.head)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(b, h, w, self.head)
        )
        return out.permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Blocks in a row at every scale; `blocks` may differ from scale to scale."""

    def __init__(
        self, widths: tuple[int, ...], blocks: tuple[int, ...], grids: tuple[int, ...], expansion: float
    ):
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(*(MultiSizeAttention(w, grids, expansion) for _ in range(n)))
            for w, n in zip(widths, blocks, strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [scale(x) for scale, x in zip(self.scales, maps, strict=True)]
