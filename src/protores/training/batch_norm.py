"""Batch norm over the batches of all processes. torch's SyncBatchNorm does it on GPUs alone; on CPUs, this does."""

import torch
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn

from protores.training.group import Group


class GroupBatchNorm(nn.BatchNorm2d):
    """In training, normalises by mean and variance over all processes, whose batches are equally large."""

    group: Group

    def forward(self, input: Tensor) -> Tensor:
        """input: B x C x H x W. Returns the same shape and type."""
        if not self.training:
            return super().forward(input)
        own = input.float()
        dims, shape, size = (0, 2, 3), (1, -1, 1, 1), self.group.size
        variance, mean = torch.var_mean(own, dims, correction=0)
        mean_of_all = self.group.sum(mean) / size
        variance = self.group.sum(variance + (mean - mean_of_all).square()) / size
        self._remember(mean_of_all.detach(), variance.detach(), own.numel() // own.shape[1] * size)
        scale = self.weight * (variance + self.eps).rsqrt()
        centred = own - mean_of_all.view(shape)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)


class GroupSync(LayerSync):
    """Lightning's hook that makes every batch norm a GroupBatchNorm for the time of a training, and back again."""

    def __init__(self, group: Group):
        self.group = group

    def apply(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = GroupBatchNorm
                module.group = self.group
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if type(module) is GroupBatchNorm:
                del module.group
                module.__class__ = nn.BatchNorm2d
        return model
