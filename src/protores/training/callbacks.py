"""What happens around a step: the history is written, the user is told, the state is saved, time is kept."""

import csv
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch

from protores.errors import RunError
from protores.files import write_text
from protores.model.losses import Terms
from protores.progress import Progress
from protores.training.checkpoint import DIVERGED, save_checkpoint
from protores.training.group import ALONE, Elsewhere, Group
from protores.training.module import PRNTraining

VALIDATION = ("image_auroc", "pixel_auroc", "pixel_ap", "pro")
LOSSES = ("loss", *Terms._fields)
COLUMNS = ("step", "seconds", "learning_rate", "images_per_second", *LOSSES) + tuple(
    f"calibration_{name}" for name in VALIDATION
)


class History(pl.Callback):
    """A row of history.csv every `every` steps, and the same to the user.

    validate: figures of the calibration part with the averaged weights; called every settings.validate_every
    steps and at the end. watch: is told the step then, while the network holds the averaged weights; its time does
    not count. start: rows of this step and later, left by an interrupted run, are dropped.
    """

    def __init__(
        self,
        path: Path,
        progress: Progress,
        validate: Callable[[], dict[str, float | None]],
        start: int,
        watch: Callable[[int], None] = lambda step: None,
        every: int = 10,
        group: Group = ALONE,
    ):
        self.path, self.progress, self.validate, self.watch, self.every = path, progress, validate, watch, every
        self.group = group
        self.latest: dict[str, float | None] = {}
        self.sums: dict[str, torch.Tensor] = {}
        self.counted = 0
        self.since = 0.0
        if not group.is_first:
            return
        lines = path.read_text(errors="replace").splitlines(keepends=True) if start and path.exists() else []
        write_text(path, ",".join(COLUMNS) + "\n" + "".join(line for line in lines if _is_kept(line, start)))

    def on_train_start(self, trainer: pl.Trainer, pl_module: PRNTraining) -> None:
        self.since = pl_module.schedule.elapsed

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: PRNTraining, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        for name in LOSSES:
            self.sums[name] = self.sums.get(name, 0) + outputs[name].detach()
        self.counted += 1
        step, done = pl_module.step, pl_module.progress()
        if step % self.every and done < 1:
            return
        row: dict[str, Any] = {name: float(total) / self.counted for name, total in self.sums.items()}
        if not all(map(math.isfinite, row.values())):
            kind = RunError if self.group.is_first else Elsewhere  # the loss is the same on all
            raise kind(f"the loss is not a number at step {step}; {DIVERGED}")
        elapsed = pl_module.schedule.elapsed
        rate = self.counted * len(batch.source) * self.group.size / max(elapsed - self.since, 1e-9)
        row |= {
            "step": step,
            "seconds": elapsed,
            "learning_rate": pl_module.optimizer.param_groups[0]["lr"],
            "images_per_second": rate,
        }
        if step % pl_module.settings.validate_every == 0 or done >= 1:
            with pl_module.averaged.applied():
                self.latest = self.validate()
                with pl_module.schedule.paused():
                    self.watch(step)
            row |= {f"calibration_{name}": self.latest.get(name) for name in VALIDATION}
        self.sums, self.counted, self.since = {}, 0, pl_module.schedule.elapsed
        if not self.group.is_first:
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            )
        ap = self.latest.get("pixel_ap")
        figures = f", calibration pixel AP {ap:.3f}" if ap is not None else ""
        self.progress.track("training", done, 1.0, f"step {step}, {rate:.0f} images/s, loss {row['loss']:.4f}{figures}")


def _is_kept(line: str, start: int) -> bool:
    """A whole row up to this step: a full disk leaves the beginning of one."""
    step = line.partition(",")[0]
    return line.endswith("\n") and line.count(",") == len(COLUMNS) - 1 and step.isdecimal() and int(step) <= start


class Checkpoints(pl.Callback):
    """Saves the state every `seconds`, and ends training when its time is up or the user says stop.

    `stopped` tells afterwards that it was the user: SIGINT (Ctrl-C) or SIGTERM while training, to any of the processes.
    """

    def __init__(self, path: Path, seconds: float = 30.0, group: Group = ALONE):
        self.path, self.seconds, self.group = path, seconds, group
        self.saved = time.monotonic()
        self.stopped = False
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: PRNTraining) -> None:
        self._save(pl_module)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._stop)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: PRNTraining, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = pl_module.progress() >= 1
        self.stopped = self.group.any(self.stopped)
        if self.stopped or done or time.monotonic() - self.saved > self.seconds:
            self._save(pl_module)
        if self.stopped or done:
            trainer.should_stop = True

    def _save(self, training: PRNTraining) -> None:
        if self.group.is_first:
            save_checkpoint(self.path, training)
        self.saved = time.monotonic()

    # Before Lightning restores the handlers that it replaced: after it, its own would come back and stay.
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True
