"""The two terms against torch's own smooth-L1 and a focal loss written from the paper's formula."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import sigmoid_focal_loss

from protores.model.losses import segmentation_loss


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 8), st.floats(0, 1))
def test_against_torch_and_torchvision(seed, spread, share):
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(2, 8, 9, generator=generator)
    mask = (torch.rand(2, 8, 9, generator=generator) < share).float()
    smooth, focal = segmentation_loss(logits, mask)
    torch.testing.assert_close(smooth, F.smooth_l1_loss(torch.sigmoid(logits), mask))
    expected = sigmoid_focal_loss(logits, mask, alpha=0.5, gamma=4.0, reduction="mean")
    torch.testing.assert_close(focal, expected, rtol=1e-4, atol=1e-7)


def test_ignored_pixels_count_nowhere():
    logits = torch.randn(1, 4, 4, requires_grad=True)
    mask = (torch.rand(1, 4, 4) < 0.5).float()
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, :2] = False
    smooth, focal = segmentation_loss(logits, mask, valid)
    cut = segmentation_loss(logits[:, 2:], mask[:, 2:])
    torch.testing.assert_close((smooth, focal), cut)
    (smooth + focal).backward()
    assert not logits.grad[0, :2].any()
    assert logits.grad[0, 2:].all()


def test_nothing_valid_is_no_loss_and_no_nan():
    smooth, focal = segmentation_loss(
        torch.randn(1, 4, 4), torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool)
    )
    assert smooth == focal == 0


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[[-1e4, 1e4, 1e4, -1e4]]], requires_grad=True)
    mask = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    smooth, focal = segmentation_loss(logits, mask)
    (smooth + focal).backward()
    assert torch.isfinite(logits.grad).all()
    assert smooth == 0.25
