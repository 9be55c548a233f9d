"""The terms against torch's own smooth-L1 and a focal loss written from the paper's formula, Dice from its own."""

import pytest
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
    smooth, focal, dice = segmentation_loss(logits, mask)
    torch.testing.assert_close(smooth, F.smooth_l1_loss(torch.sigmoid(logits), mask))
    expected = sigmoid_focal_loss(logits, mask, alpha=0.5, gamma=4.0, reduction="mean")
    torch.testing.assert_close(focal, expected, rtol=1e-4, atol=1e-7)
    found = torch.sigmoid(logits)
    overlap = sum(float(p) * float(m) for p, m in zip(found.flatten(), mask.flatten(), strict=True))
    both = sum(float(p) ** 2 + float(m) for p, m in zip(found.flatten(), mask.flatten(), strict=True))
    assert dice.item() == pytest.approx(1 - (2 * overlap + 1) / (both + 1), abs=1e-5)


def test_ignored_pixels_count_nowhere():
    logits = torch.randn(1, 4, 4, requires_grad=True)
    mask = (torch.rand(1, 4, 4) < 0.5).float()
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, :2] = False
    terms = segmentation_loss(logits, mask, valid)
    cut = segmentation_loss(logits[:, 2:], mask[:, 2:])
    torch.testing.assert_close(terms, cut)
    terms.total(dice=0.3).backward()
    assert not logits.grad[0, :2].any()
    assert logits.grad[0, 2:].all()


def test_nothing_valid_is_no_loss_and_no_nan():
    terms = segmentation_loss(torch.randn(1, 4, 4), torch.zeros(1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool))
    assert terms == (0, 0, 0)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[[-1e4, 1e4, 1e4, -1e4]]], requires_grad=True)
    mask = torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
    terms = segmentation_loss(logits, mask)
    terms.total(dice=0.3).backward()
    assert torch.isfinite(logits.grad).all()
    assert terms.smooth_l1 == 0.25


def test_the_weights_of_the_terms():
    terms = segmentation_loss(torch.randn(2, 4, 4), (torch.rand(2, 4, 4) < 0.3).float())
    assert terms.total(dice=0.0) == terms.smooth_l1 + 5 * terms.focal
    torch.testing.assert_close(terms.total(dice=2.0) - terms.total(dice=0.0), 2 * terms.dice)


@pytest.mark.parametrize("with_valid", [False, True])
def test_two_processes_that_share_a_batch_have_the_loss_and_the_gradient_of_all_of_it(with_valid):
    torch.manual_seed(0)
    logits = torch.randn(4, 8, 8, dtype=torch.float64)
    mask = (torch.rand(4, 8, 8) < 0.3).double()
    valid = torch.rand(4, 8, 8) < torch.tensor([0.2, 0.9, 0.5, 0.7]).view(4, 1, 1) if with_valid else None
    whole = logits.clone().requires_grad_()
    expected = segmentation_loss(whole, mask, valid)
    expected.total(1.0).backward()

    shares, sums = (slice(0, 2), slice(2, 4)), []

    def remembered(own: torch.Tensor) -> torch.Tensor:
        sums.append(own.detach())
        return own

    for share in shares:
        segmentation_loss(logits[share], mask[share], None if valid is None else valid[share], remembered)
    for share, other in zip(shares, reversed(sums), strict=True):
        own = logits[share].clone().requires_grad_()
        found = segmentation_loss(own, mask[share], None if valid is None else valid[share], lambda s, o=other: s + o)
        torch.testing.assert_close(found, expected)
        found.total(1.0).backward()
        torch.testing.assert_close(own.grad, whole.grad[share])
