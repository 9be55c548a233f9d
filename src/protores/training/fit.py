"""One training, from a network with its prototypes to averaged weights; interrupted, it goes on where it was."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy
from threadpoolctl import threadpool_limits

from protores.errors import ProtoresError
from protores.machine import usable_cores
from protores.model.maps import Maps
from protores.model.network import PRN
from protores.progress import Progress
from protores.settings import TrainingSettings
from protores.training.batch_norm import GroupSync
from protores.training.callbacks import Checkpoints, History
from protores.training.checkpoint import load_checkpoint, read_progress
from protores.training.group import ALONE, Elsewhere, Group, quiet
from protores.training.loader import Batches, make_loader
from protores.training.module import PRNTraining
from protores.training.schedule import Schedule

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of mallopt's parameters in glibc's malloc.h."""


class Interrupted(ProtoresError):
    """The user stopped the training; its state is saved."""


@dataclass(frozen=True)
class Outcome:
    """steps taken in all, of batch_size images; seconds of training in all, and the rate of this process."""

    steps: int
    batch_size: int
    seconds: float
    images_per_second: float


def fit(
    network: PRN,
    batches: Batches,
    normal: list[Maps],
    settings: TrainingSettings,
    *,
    leave_one_out: bool,
    checkpoint: Path,
    history: Path,
    validate: Callable[[], dict[str, float | None]],
    progress: Progress,
    seconds: float | None = None,
    watch: Callable[[int], None] = lambda step: None,
    group: Group = ALONE,
) -> Outcome:
    """Trains `network` in place and leaves the averaged weights in it.

    normal: features of the good images (features.py). checkpoint: where the state is kept; if the file exists,
    training goes on from it. seconds: time that the training may take, None for no bound. validate, watch: see History.
    group: the processes that train together, each with its share of the batches; all of them call this, and the network
    is the same on all in the end. Raises Interrupted on Ctrl-C or SIGTERM, after saving the state.
    """
    before = group.on_first(lambda: read_progress(checkpoint) if checkpoint.exists() else None)
    start = before.step if before else 0
    schedule = Schedule(settings, seconds, before.elapsed if before else 0.0)
    training = PRNTraining(network, settings, schedule, normal, leave_one_out, start, group)
    if before:
        group.on_each(lambda: load_checkpoint(checkpoint, training))
    saver = Checkpoints(checkpoint, group=group)
    began = schedule.elapsed
    if training.progress() < 1:
        trainer = pl.Trainer(
            max_epochs=1,
            accelerator="auto",
            precision="bf16-mixed" if use_bf16(settings) else "32-true",
            gradient_clip_val=settings.clip,
            deterministic=settings.deterministic and ("warn" if torch.cuda.is_available() else True),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[History(history, progress, validate, start, watch, group=group), saver],
            **_together(group, settings),
        )
        loader = make_loader(batches, start, settings.steps, number_of_workers(settings))
        network.train()
        with one_blas_thread():
            trainer.fit(training, loader)
    if saver.stopped:
        raise (Interrupted if group.is_first else Elsewhere)(
            f"stopped at step {training.step}; the same command with --resume goes on from there"
        )
    training.averaged.apply()
    network.eval()
    elapsed = schedule.elapsed
    rate = (training.step - start) * settings.batch_size / max(elapsed - began, 1e-9)
    return Outcome(training.step, settings.batch_size, elapsed, rate)


def _together(group: Group, settings: TrainingSettings) -> dict[str, Any]:
    """What Lightning's Trainer has to know about the processes.

    Buffers need no copying between them, since batch norm sees the whole batch on each.
    """
    if group.size == 1:
        return {"devices": 1}
    on_gpus = torch.cuda.is_available()
    return {
        "devices": settings.devices,
        "num_nodes": settings.nodes,
        "strategy": DDPStrategy(broadcast_buffers=False),
        "plugins": [group.environment] if on_gpus else [group.environment, GroupSync(group)],
        "sync_batchnorm": on_gpus,
        "use_distributed_sampler": False,
    }


def use_bf16(settings: TrainingSettings) -> bool:
    """bf16 as set, or where this processor has instructions for it."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))


def number_of_workers(settings: TrainingSettings) -> int:
    """As set; else none where the cores are busy with the network itself, and up to 8 otherwise."""
    if settings.workers is not None:
        return settings.workers
    cores = _cores(settings)
    return 0 if cores <= 2 and not torch.cuda.is_available() else min(8, cores - 1)


def number_of_threads(settings: TrainingSettings) -> int:
    """As set; else this process's share of the cores."""
    return settings.threads or _cores(settings)


def _cores(settings: TrainingSettings) -> int:
    return max(1, usable_cores() // settings.devices)


def one_blas_thread() -> threadpool_limits:
    """While open, NumPy's BLAS runs in its caller. Its threads spin for a while after synthesis has used it, and take
    a core from the network.
    """
    return threadpool_limits(1, user_api="blas")


def prepare_torch(settings: TrainingSettings, seed: int) -> None:
    """Threads, memory, seed and quiet for this process."""
    _keep_freed_memory()
    torch.set_num_threads(number_of_threads(settings))
    torch.manual_seed(seed)
    torch.utils.deterministic.fill_uninitialized_memory = False
    quiet()


def _keep_freed_memory() -> None:
    """Lets glibc keep large freed blocks; else every step maps and clears its maps anew, a few percent of its time."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
