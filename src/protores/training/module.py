"""The thin Lightning layer: loss, optimiser and schedule around the network, nothing else."""

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from protores.model.losses import segmentation_loss
from protores.model.maps import Maps
from protores.model.network import PRN
from protores.settings import TrainingSettings
from protores.training.averaging import AveragedWeights
from protores.training.group import ALONE, Group
from protores.training.loader import Batch
from protores.training.schedule import Schedule


class PRNTraining(pl.LightningModule):
    """Trains `network`; `start` is the step that the first batch belongs to.

    normal: the backbone's features of the good images, N x C x H x W per scale. The backbone is frozen, so for
    the normal images of a batch, its first, they are looked up and not computed again; only the stem is, whose map is
    too large to keep. group: the processes that share each batch; the loss is the whole batch's on each of them.
    """

    def __init__(
        self,
        network: PRN,
        settings: TrainingSettings,
        schedule: Schedule,
        normal: list[Maps],
        leave_one_out: bool,
        start: int = 0,
        group: Group = ALONE,
    ):
        super().__init__()
        self.network = network
        self.settings = settings
        self.schedule = schedule
        self.normal = normal
        self.leave_one_out = leave_one_out
        self.averaged = AveragedWeights(network, settings.average)
        self.optimizer = make_optimizer(network, settings)
        self.step = start
        self.group = group
        parts = network.backbone.stem, network.backbone.body, network.head
        self._stem, self._body, self._head = map(torch.compile, parts) if settings.compile else parts

    def progress(self) -> float:
        """Share of the training that lies behind; by the clock of the first process where the clock has a say."""
        done = self.schedule.progress(self.step)
        return done if self.schedule.seconds is None else self.group.agreed(done)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        rate = self.schedule.learning_rate(self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        known = batch.source[: batch.normal].cpu()
        stem = self._stem(batch.images.permute(0, 3, 1, 2).float() / 255)
        changed = self._body(stem[batch.normal :])
        features = [
            torch.cat([maps[known].to(self.device), found]) for maps, found in zip(self.normal, changed, strict=True)
        ]
        source = batch.source if self.leave_one_out else None
        logits = self._head(stem, features, tuple(batch.masks.shape[1:]), source)
        with torch.autocast(self.device.type, enabled=False):
            terms = segmentation_loss(logits, batch.masks.float(), batch.valid, self.group.sum)
        return {"loss": terms.total(self.settings.dice)} | {k: v.detach() for k, v in terms._asdict().items()}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.averaged.update()
        self.step += 1


def make_optimizer(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam or AdamW; weight decay on matrices and kernels only."""
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate, betas=(0.9, settings.second_moment))
