"""A run trained again from what it recorded, and held against the run: bit for bit, or by how much not, and why."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from protores import workflow
from protores.errors import RunError
from protores.files import writing
from protores.progress import Progress
from protores.run import Run
from protores.settings import Settings
from protores.training.group import processes

FIGURES = ("image_auroc", "pixel_auroc", "pixel_ap", "pro")
_APART = frozenset({"command"})
"""What an environment holds that changes nothing."""


@dataclass(frozen=True)
class Difference:
    """A tensor that differs, and the largest absolute difference of its values; inf: of another shape, or absent, or
    not a number in one of them."""

    tensor: str
    largest: float


@dataclass(frozen=True)
class Reproduction:
    """What came of training again. tensors: how many model.safetensors holds; differences: the largest first.

    figures: name to the run's and the new one's, where they differ. reasons: what may have made the difference.
    """

    path: Path
    tensors: int
    differences: tuple[Difference, ...]
    figures: Mapping[str, tuple[float | None, float | None]]
    reasons: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        return not self.differences

    def lines(self) -> Iterator[str]:
        """The outcome for a person."""
        if self.is_exact:
            yield f"{self.path}: the same bits in all {self.tensors} tensors of the model"
        else:
            worst = self.differences[0]
            by = "by their shape" if worst.largest == float("inf") else f"by {worst.largest:.3g} at most"
            yield f"{self.path}: {len(self.differences)} of {self.tensors} tensors differ, {by} ({worst.tensor})"
        for name, (before, after) in self.figures.items():
            yield f"{name}: {_shown(before)} in the run, {_shown(after)} now"
        if self.is_exact:
            return
        for reason in self.reasons:
            yield f"may differ since {reason}"
        if not self.reasons:
            yield "nothing that is recorded explains it: same machine, versions, settings and images; please report it"


def reproduce(path: Path, progress: Progress | None = None) -> Reproduction:
    """Trains a finished run again in a temporary folder: same settings, seed, images and split.

    Raises RunError where the run is not finished or its images are not there as they were.
    """
    progress = progress or Progress()
    run = Run(path)
    settings, split, metrics = run.read_settings(), run.read_split(), run.read_metrics()
    before = run.read_model()
    roots = settings.data.products or (settings.data.root or Path(),)
    if lost := [root for root in roots if not root.is_dir()]:
        raise RunError(f"the images of {path} are not in {lost[0]} any more; put them back there")
    start = settings.training.warm_start
    if start is not None and not Run(start).is_complete:
        raise RunError(f"{path} started from {start}, which is no finished run any more; put it back there")
    workflow.reopen(settings, split, "restore them, or train anew", progress)
    with (
        processes(settings.training.devices, settings.training.nodes) as group,
        writing(Path(tempfile.gettempdir())),
        ExitStack() as stack,
    ):
        folder = group.on_first(lambda: stack.enter_context(tempfile.TemporaryDirectory(prefix="protores-")))
        again = Run(Path(folder) / "run")
        preset = settings.preset if start is None else None
        data = settings.data.products or roots[0]
        workflow.train(data, again.path, preset, _overrides(settings), skip_bad=True, progress=progress)
        return group.on_first(lambda: _compared(run, before, metrics, again))


def _compared(run: Run, before: Mapping[str, Tensor], metrics: Mapping[str, Any], again: Run) -> Reproduction:
    after, new = again.read_model(), again.read_metrics()
    figures = {name: (metrics.get(name), new.get(name)) for name in FIGURES if metrics.get(name) != new.get(name)}
    reasons = tuple(_reasons(run.read_settings(), run.facts()["machine"], again.facts()["machine"], metrics))
    return Reproduction(run.path, len(before), tuple(_differences(before, after)), figures, reasons)


def _overrides(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted key."""
    values: dict[str, Any] = {"seed": settings.seed}
    for section in ("data", "split", "synthesis", "model", "training"):
        part = getattr(settings, section)
        values |= {f"{section}.{name}": getattr(part, name) for name in type(part).model_fields}
    return values


def _differences(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[Difference]:
    found = []
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one is None or other is None or (one.shape, one.dtype) != (other.shape, other.dtype):
            found.append(Difference(name, float("inf")))
        elif not torch.equal(_bytes(one), _bytes(other)):
            apart = (one.double() - other.double()).abs().nan_to_num(nan=float("inf"))
            found.append(Difference(name, float(apart.max())))
    return sorted(found, key=lambda difference: -difference.largest)


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def _reasons(
    settings: Settings, then: Mapping[str, Any], now: Mapping[str, Any], metrics: Mapping[str, Any]
) -> Iterator[str]:
    """What may make two trainings of the same settings differ."""
    training, steps = settings.training, metrics.get("steps")
    if training.minutes is not None and steps != training.steps:
        yield f"the clock ended the run after {steps} of {training.steps} steps (training.minutes)"
    elif training.minutes is not None:
        yield "the clock has a say in the learning rate (training.minutes)"
    if (batch := metrics.get("batch_size", training.batch_size)) != training.batch_size:
        yield f"GPU memory had room for {batch} images at once and not for {training.batch_size} (training.batch_size)"
    if not training.deterministic:
        yield "training.deterministic is false"
    for key in sorted({*then, *now} - _APART):
        one, other = then.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (
                f"{name} was {one.get(name)} and is {other.get(name)}"
                for name in sorted({*one, *other})
                if one.get(name) != other.get(name)
            )
        elif one != other:
            yield f"{key} was {one} and is {other}"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.6f}"
