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
            nn.Sequential(conv_norm(width, hidden), nn.ReLU(inplace=True), conv_norm(hidden, width)) if hidden else None
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + F.relu(self.join(torch.cat([self._attend(x, heads) for heads in self._sharing(x.shape)], 1)))
        return x if self.feed is None else x + self.feed(x)

    def _sharing(self, shape: torch.Size) -> list[list[int]]:
        """Which heads share one order of the pixels: all where each grid is a division of the coarser ones."""
        heads = list(range(len(self.grids)))
        nested = all(_is_nested([token_grid(side, grid) for grid in sorted(self.grids)]) for side in shape[-2:])
        return [heads] if nested else [[head] for head in heads]

    def _attend(self, x: Tensor, heads: list[int]) -> Tensor:
        """Scaled dot-product attention over the patches of these heads' grids: B x C x H x W to B x (heads c) x H x W.

        The pixels are put in an order in which the patches of every grid are rows of pixels, and back at the end.
        """
        b, c, h, w = x.shape
        rows, columns = (_levels(side, sorted(self.grids[head] for head in heads)) for side in (h, w))
        levels = len(rows)
        apart = [1 + level for level in range(2 * levels)]
        paired = [axis for pair in zip(apart[:levels], apart[levels:], strict=True) for axis in pair]
        pixels = x.permute(0, 2, 3, 1).reshape(b, *rows, *columns, c).permute(0, *paired, 2 * levels + 1)
        pixels = pixels.reshape(b, h * w, c)
        out = torch.cat([self._head(pixels, head, (h, w)) for head in heads], 2)
        out = out.reshape(b, *(n for pair in zip(rows, columns, strict=True) for n in pair), -1)
        out = out.permute(0, *apart[::2], *apart[1::2], 2 * levels + 1).reshape(b, h, w, -1)
        return out.permute(0, 3, 1, 2)

    def _head(self, pixels: Tensor, head: int, size: tuple[int, int]) -> Tensor:
        """pixels: B x HW x C, each patch's in a row. Returns B x HW x c."""
        tokens = token_grid(size[0], self.grids[head]) * token_grid(size[1], self.grids[head])
        if tokens == 1:
            return self._project(pixels, head, 2)
        b, n, _ = pixels.shape
        q, k, v = (self._project(pixels, head, part).reshape(b, 1, tokens, -1) for part in range(3))
        return F.scaled_dot_product_attention(q, k, v).reshape(b, n, -1)

    def _project(self, pixels: Tensor, head: int, part: int) -> Tensor:
        """A head's q, k or v (part 0, 1, 2), which are slices of one 1x1 convolution."""
        own = slice((3 * head + part) * self.head, (3 * head + part + 1) * self.head)
        return F.linear(pixels, self.qkv.weight[own].flatten(1), self.qkv.bias[own])


def _is_nested(grids: list[int]) -> bool:
    return all(fine % coarse == 0 for coarse, fine in zip(grids, grids[1:], strict=False))


def _levels(side: int, grids: list[int]) -> list[int]:
    """A side as a product: tokens of the coarsest grid, how many of the next lie in each, ..., pixels in the finest."""
    counts = [1, *(token_grid(side, grid) for grid in grids), side]
    return [fine // coarse for coarse, fine in zip(counts, counts[1:], strict=False)]


class Attention(nn.Module):
    """Blocks in a row at every scale; `blocks` may differ from scale to scale."""

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...], grids: tuple[int, ...], expansion: float):
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(*(MultiSizeAttention(w, grids, expansion) for _ in range(n)))
            for w, n in zip(widths, blocks, strict=True)
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [scale(x) for scale, x in zip(self.scales, maps, strict=True)]
