"""Averaged weights: an exponential moving average of everything that training changes; the weights reported."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def trained_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The parameters that have a gradient, and the running statistics beside them, by name."""
    tensors = {name: p for name, p in network.named_parameters() if p.requires_grad}
    running = {name: b for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var"))}
    return tensors | running


class AveragedWeights:
    """The moving average. decay is reached gradually: min(decay, (1 + t) / (10 + t)) after t updates."""

    def __init__(self, network: nn.Module, decay: float):
        self.network = network
        self.live = trained_tensors(network)
        self.average = {name: t.detach().clone() for name, t in self.live.items()}
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        live = [t.detach() for t in self.live.values()]
        torch._foreach_lerp_(list(self.average.values()), live, 1 - decay)

    @torch.no_grad()
    def apply(self) -> None:
        """Puts the average into the network for good, wherever it was moved to meanwhile."""
        for name, tensor in trained_tensors(self.network).items():
            tensor.copy_(self.average[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The network holds the average inside the block, and its own weights again behind it."""
        kept = {name: t.detach().clone() for name, t in self.live.items()}
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in self.live.items():
                    tensor.copy_(kept[name])
