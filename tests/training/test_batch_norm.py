"""Batch norm over a group: with one process it is torch's, and a network is what it was once the training is over."""

import pytest
import torch
from torch import nn

from protores.training.batch_norm import GroupBatchNorm, GroupSync
from protores.training.group import ALONE


@pytest.fixture
def pair() -> tuple[nn.Sequential, nn.Sequential]:
    """Torch's and ours, of the same weights, not yet used."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5))
    nn.init.normal_(plain[1].weight)
    nn.init.normal_(plain[1].bias)
    ours = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5))
    ours.load_state_dict(plain.state_dict())
    return plain, ours


def test_it_is_batch_norm(pair):
    plain, ours = pair
    GroupSync(ALONE).apply(ours)
    assert isinstance(ours[1], GroupBatchNorm)
    image, wanted = torch.randn(4, 3, 8, 8) * 3 + 20, torch.randn(4, 5, 6, 6)
    for _ in range(3):
        expected, found = plain(image), ours(image)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for out in (expected, found):
            (out * wanted).sum().backward()
    for theirs, mine in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-3 * float(theirs.grad.abs().max()))
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], buffer, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.eval()(image), plain.eval()(image), rtol=1e-4, atol=1e-5)


def test_bfloat16_stays(pair):
    _, ours = pair
    GroupSync(ALONE).apply(ours)
    assert ours[1](torch.randn(2, 5, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_hook_leaves_the_network_as_it_was(pair):
    plain, ours = pair
    sync = GroupSync(ALONE)
    tensors = {name: id(tensor) for name, tensor in [*ours.named_parameters(), *ours.named_buffers()]}
    assert sync.revert(sync.apply(ours)) is ours
    assert type(ours[1]) is nn.BatchNorm2d
    assert vars(ours[1]).keys() == vars(plain[1]).keys()
    assert {name: id(tensor) for name, tensor in [*ours.named_parameters(), *ours.named_buffers()]} == tensors
