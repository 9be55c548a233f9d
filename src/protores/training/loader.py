"""Batches by step number: every draw comes from a generator seeded by (seed, step, slot), so the same step is
the same batch with any number of workers, and a resumed run goes on where it was."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from protores.model.prototypes import NO_SOURCE
from protores.settings import TrainingSettings
from protores.synthesis.synthesizer import Synthesizer

ORDER, SLOT = 0, 1
Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8], int, NDArray[np.bool_] | None]


class Batch(NamedTuple):
    """Normal images first, then those that are drawn.

    source: B indices of the normal image that each one is or is made from, or NO_SOURCE. images: B x H x W x 3
    uint8, RGB. masks: B x H x W uint8 in {0, 1}. valid: B x H x W bool, False where nothing counts, or None.
    normal: how many of them are normal.
    """

    source: Tensor
    images: Tensor
    masks: Tensor
    valid: Tensor | None
    normal: int


class Batches(Dataset):
    """`batches[step]` is a whole batch: normal, then seen or extended, then simulated images, in exact counts.

    good: N x H x W x 3 uint8. seen, seen_masks: the defects that train, may be empty; then their share is
    simulated. good_valid, seen_valid: bool, False where nothing counts, or None.
    """

    def __init__(
        self,
        good: NDArray[np.uint8],
        seen: NDArray[np.uint8],
        seen_masks: NDArray[np.uint8],
        synthesizer: Synthesizer,
        settings: TrainingSettings,
        seed: int,
        good_valid: NDArray[np.bool_] | None = None,
        seen_valid: NDArray[np.bool_] | None = None,
    ):
        self.good, self.seen, self.seen_masks = good, seen, seen_masks
        self.good_valid, self.seen_valid = good_valid, seen_valid
        self.synthesizer = synthesizer
        self.settings = settings
        self.seed = seed
        self.normal, self.extended, self.simulated = slots(settings, bool(len(seen)))

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, step: int) -> Batch:
        normal = [self._normal(step, slot) for slot in range(self.normal)]
        drawn = [self._seen(step, self.normal + slot) for slot in range(self.extended)]
        drawn += [self._simulated(step, self.normal + self.extended + slot) for slot in range(self.simulated)]
        images, masks, sources, valid = zip(*drawn, strict=True)
        clean = [np.zeros(self.good.shape[1:3], np.uint8)] * self.normal
        inside = [*(self._valid(index) for index in normal), *valid]
        return Batch(
            torch.tensor([*normal, *sources]),
            torch.from_numpy(np.stack([*(self.good[index] for index in normal), *images])),
            torch.from_numpy(np.stack([*clean, *masks])),
            torch.from_numpy(np.stack(inside)) if valid[0] is not None else None,
            self.normal,
        )

    def _generator(self, step: int, slot: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, SLOT, step, slot))

    def _normal(self, step: int, slot: int) -> int:
        """Every good image once, in a new order, before any comes again."""
        epoch, place = divmod(step * self.normal + slot, len(self.good))
        return int(np.random.default_rng((self.seed, ORDER, epoch)).permutation(len(self.good))[place])

    def _seen(self, step: int, slot: int) -> Drawn:
        rng = self._generator(step, slot)
        if rng.random() < self.settings.seen_as_is:
            index = int(rng.integers(len(self.seen)))
            valid = None if self.seen_valid is None else self.seen_valid[index]
            return self.seen[index], self.seen_masks[index], NO_SOURCE, valid
        index = int(rng.integers(len(self.good)))
        anomaly = self.synthesizer.extended(self.good[index], index, rng)
        return anomaly.image, anomaly.mask, index, self._valid(index)

    def _simulated(self, step: int, slot: int) -> Drawn:
        rng = self._generator(step, slot)
        index = int(rng.integers(len(self.good)))
        anomaly = self.synthesizer.simulated(self.good[index], index, rng)
        return anomaly.image, anomaly.mask, index, self._valid(index)

    def _valid(self, index: int) -> NDArray[np.bool_] | None:
        return None if self.good_valid is None else self.good_valid[index]


def slots(settings: TrainingSettings, any_seen: bool) -> tuple[int, int, int]:
    """How many of a batch are normal, seen or extended, and simulated; they add up to the batch size."""
    normal = round(settings.batch_size * settings.normal_share)
    extended = round(settings.batch_size * settings.seen_share) if any_seen else 0
    return normal, extended, settings.batch_size - normal - extended


def make_loader(batches: Batches, start: int, stop: int, workers: int) -> DataLoader:
    """Batches of the steps start .. stop - 1, made ahead by `workers` processes (0: in this one)."""
    if workers:
        cv2.setNumThreads(1)  # a forked process hangs on the threads that OpenCV had in this one
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
