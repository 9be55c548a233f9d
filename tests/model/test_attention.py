"""Multi-size attention against a plain loop over patches."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from protores.model.attention import MultiSizeAttention, token_grid


def by_loops(qkv: torch.Tensor, grid: tuple[int, int], c: int) -> torch.Tensor:
    b, _, h, w = qkv.shape
    ph, pw = h // grid[0], w // grid[1]
    out = torch.zeros(b, c, h, w)
    for n in range(b):
        cells = [
            (slice(i * ph, (i + 1) * ph), slice(j * pw, (j + 1) * pw)) for i in range(grid[0]) for j in range(grid[1])
        ]
        q, k, v = (
            torch.stack([qkv[n, part * c : (part + 1) * c, r, s].flatten() for r, s in cells]) for part in range(3)
        )
        found = torch.softmax(q @ k.T / math.sqrt(q.shape[1]), dim=1) @ v
        for token, (r, s) in zip(found, cells, strict=True):
            out[n, :, r, s] = token.view(c, ph, pw)
    return out


@pytest.mark.parametrize(
    ("grids", "size", "together"),
    [
        ((2, 4), (8, 12), True),
        ((8, 4), (16, 32), True),
        ((1, 2, 4, 8), (8, 16), True),
        ((3, 4), (12, 12), False),
        ((4, 8), (8, 12), False),
    ],
)
@torch.no_grad()
def test_attention_over_patches(grids, size, together):
    """Also where the grids' patches do not lie in each other, so that heads cannot share an order of the pixels."""
    heads = range(len(grids))
    block = MultiSizeAttention(8, grids, expansion=1)
    x = torch.randn(2, 8, *size)
    c = 8 // len(grids)
    expected = [
        by_loops(qkv, (token_grid(size[0], grid), token_grid(size[1], grid)), c)
        for qkv, grid in zip(block.qkv(x).split(3 * c, 1), grids, strict=True)
    ]
    sharing = block._sharing(x.shape)
    assert sharing == ([list(heads)] if together else [[head] for head in heads])
    found = torch.cat([block._attend(x, shared) for shared in sharing], 1)
    torch.testing.assert_close(found, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_single_token_passes_its_values_on():
    block = MultiSizeAttention(8, (1, 4), expansion=0)
    x = torch.randn(1, 8, 8, 8)
    torch.testing.assert_close(block._attend(x, [0]), block.qkv(x)[:, 8:12])


def test_a_block_keeps_shape_and_has_a_skip_connection():
    block = MultiSizeAttention(16, (2, 4), expansion=2).eval()
    with torch.no_grad():
        block.join[1].weight.zero_()
        block.feed[-1][1].weight.zero_()
    x = torch.randn(2, 16, 8, 8)
    torch.testing.assert_close(block(x), x)


@given(st.integers(1, 200), st.integers(1, 16))
def test_token_grid_divides_the_side_and_is_the_largest_that_does(side, grid):
    found = token_grid(side, grid)
    assert side % found == 0
    assert found <= grid
    assert not any(side % g == 0 for g in range(found + 1, min(grid, side) + 1))
