"""The moving average against a plain loop."""

import torch
from torch import nn

from protores.training.averaging import AveragedWeights, trained_tensors


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    net[2].requires_grad_(False)
    return net


def test_what_is_averaged():
    names = set(trained_tensors(network()))
    assert names == {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"}


def test_against_a_loop_and_back_again():
    net = network()
    averaged = AveragedWeights(net, decay=0.9)
    expected = {n: t.detach().clone() for n, t in trained_tensors(net).items()}
    for t in range(1, 30):
        with torch.no_grad():
            for tensor in trained_tensors(net).values():
                tensor.add_(torch.randn_like(tensor))
        averaged.update()
        decay = min(0.9, (1 + t) / (10 + t))
        expected = {
            n: decay * expected[n] + (1 - decay) * x.detach() for n, x in trained_tensors(net).items()
        }
    live = {n: t.detach().clone() for n, t in trained_tensors(net).items()}
    with averaged.applied():
        for name, tensor in trained_tensors(net).items():
            torch.testing.assert_close(tensor.detach(), expected[name])
    for name, tensor in trained_tensors(net).items():
        assert torch.equal(tensor, live[name])
    averaged.apply()
    torch.testing.assert_close(net[1].running_mean, expected["1.running_mean"])
