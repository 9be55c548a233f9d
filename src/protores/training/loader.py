"""Batches by step number: every draw comes from a generator seeded by (seed, step, slot), so the same step is
the same batch with any number of workers, and a resumed run goes on where it was. Several processes share a batch."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from protores.data.frames import Frames
from protores.errors import SettingsError
from protores.model.prototypes import NO_SOURCE
from protores.settings import TrainingSettings
from protores.synthesis.products import ProductSynthesizer
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
    simulated. good_valid, seen_valid: bool, False where nothing counts, or None. process, processes: of every batch
    this is the share of one among several: each gets as many normal images, and the others in turn. products: how many
    good and seen images each of several products has, in a row; None: all are one's. They take turns in every part of a
    batch.
    """

    def __init__(
        self,
        good: Frames | NDArray[np.uint8],
        seen: Frames | NDArray[np.uint8],
        seen_masks: Frames | NDArray[np.uint8],
        synthesizer: Synthesizer | ProductSynthesizer,
        settings: TrainingSettings,
        seed: int,
        good_valid: Frames | NDArray[np.bool_] | None = None,
        seen_valid: Frames | NDArray[np.bool_] | None = None,
        process: int = 0,
        processes: int = 1,
        products: Sequence[tuple[int, int]] | None = None,
    ):
        self.good, self.seen, self.seen_masks = good, seen, seen_masks
        self.good_valid, self.seen_valid = good_valid, seen_valid
        self.synthesizer = synthesizer
        self.settings = settings
        self.seed = seed
        self.normal, self.extended, self.simulated = slots(settings, bool(len(seen)))
        self.process, self.processes = process, processes
        self.products = products or [(len(good), len(seen))]
        self.firsts = np.cumsum([(0, 0), *self.products[:-1]], axis=0).tolist()

    def __len__(self) -> int:
        return 1 << 62

    def __getitem__(self, step: int) -> Batch:
        normal = [self._normal(step, slot) for slot in range(self.process, self.normal, self.processes)]
        drawn = [
            self._seen(step, slot) if slot < self.normal + self.extended else self._simulated(step, slot)
            for slot in range(self.normal + self.process, self.settings.batch_size, self.processes)
        ]
        images, masks, sources, valid = zip(*drawn, strict=True)
        clean = [np.zeros(self.good.shape[1:3], np.uint8)] * len(normal)
        inside = [*(self._valid(index) for index in normal), *valid]
        return Batch(
            torch.tensor([*normal, *sources]),
            torch.from_numpy(np.stack([*(self.good[index] for index in normal), *images])),
            torch.from_numpy(np.stack([*clean, *masks])),
            torch.from_numpy(np.stack(inside)) if valid[0] is not None else None,
            len(normal),
        )

    def _generator(self, step: int, slot: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, SLOT, step, slot))

    def _normal(self, step: int, slot: int) -> int:
        """Every good image of a product once, in a new order, before any comes again."""
        turn, product = divmod(step * self.normal + slot, len(self.products))
        images = self.products[product][0]
        epoch, place = divmod(turn, images)
        order = np.random.default_rng((self.seed, ORDER, epoch)).permutation(images)
        return self.firsts[product][0] + int(order[place])

    def _seen(self, step: int, slot: int) -> Drawn:
        rng = self._generator(step, slot)
        product = self._turn(step, slot)
        if not self.products[product][1]:
            return self._simulated(step, slot)
        if rng.random() < self.settings.seen_as_is:
            index = self._drawn(rng, product, 1)
            valid = None if self.seen_valid is None else self.seen_valid[index]
            return self.seen[index], self.seen_masks[index], NO_SOURCE, valid
        index = self._drawn(rng, product, 0)
        anomaly = self.synthesizer.extended(self.good[index], index, rng)
        return anomaly.image, anomaly.mask, index, self._valid(index)

    def _simulated(self, step: int, slot: int) -> Drawn:
        rng = self._generator(step, slot)
        index = self._drawn(rng, self._turn(step, slot), 0)
        anomaly = self.synthesizer.simulated(self.good[index], index, rng)
        return anomaly.image, anomaly.mask, index, self._valid(index)

    def _turn(self, step: int, slot: int) -> int:
        """Whose turn it is to be drawn."""
        return (step + slot) % len(self.products)

    def _drawn(self, rng: np.random.Generator, product: int, which: int) -> int:
        """One of a product's good (which 0) or seen (1) images."""
        return self.firsts[product][which] + int(rng.integers(self.products[product][which]))

    def _valid(self, index: int) -> NDArray[np.bool_] | None:
        return None if self.good_valid is None else self.good_valid[index]


def slots(settings: TrainingSettings, any_seen: bool) -> tuple[int, int, int]:
    """How many of a batch are normal, seen or extended, and simulated; they add up to the batch size."""
    normal = round(settings.batch_size * settings.normal_share)
    extended = round(settings.batch_size * settings.seen_share) if any_seen else 0
    return normal, extended, settings.batch_size - normal - extended


def check_shares(settings: TrainingSettings) -> None:
    """Raises SettingsError where the processes cannot have equal shares of a batch, of its normal images as of all."""
    if _is_shared(settings):
        return
    processes = settings.devices * settings.nodes
    more = (settings.model_copy(update={"batch_size": size}) for size in range(settings.batch_size + 1, 1 << 20))
    nearest = next(larger.batch_size for larger in more if _is_shared(larger))
    raise SettingsError(
        f"a batch of {settings.batch_size} images, {slots(settings, True)[0]} of them good, cannot be shared equally by"
        f" {processes} processes; pass --set training.batch_size={nearest}"
    )


def _is_shared(settings: TrainingSettings) -> bool:
    processes = settings.devices * settings.nodes
    return settings.batch_size % processes == 0 and slots(settings, True)[0] % processes == 0


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
