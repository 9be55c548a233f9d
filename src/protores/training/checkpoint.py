"""What an interrupted training needs to go on, as safetensors: no pickle, written whole or not at all."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from protores.errors import RunError
from protores.files import write_whole
from protores.training.averaging import trained_tensors
from protores.training.module import PRNTraining


@dataclass(frozen=True)
class Progress:
    """Where a training stopped: the next step, and the seconds it had taken."""

    step: int
    elapsed: float


def save_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, str] | None = None) -> None:
    """The old file or the new one is there, never half. Raises OSError where it cannot be written."""
    write_whole(path, save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, metadata=meta))


DIVERGED = "train into another folder with a lower training.learning_rate or --set training.precision=f32"
"""The cure where training runs into numbers that are none."""


def save_checkpoint(path: Path, training: PRNTraining) -> None:
    """Weights, averages, optimiser state, step and time.

    Raises RunError where one of them is not a number any more; the file stays as it was.
    """
    by_parameter: dict[Tensor, str] = {p: name for name, p in training.network.named_parameters()}
    tensors = {f"network.{name}": t for name, t in _changing(training.network).items()}
    tensors |= {f"average.{name}": t for name, t in training.averaged.average.items()}
    for parameter, state in training.optimizer.state.items():
        tensors |= {f"optimizer.{key}.{by_parameter[parameter]}": value for key, value in state.items()}
    if not all(t.isfinite().all() for t in tensors.values()):
        raise RunError(f"the network's weights are not numbers any more at step {training.step}; {DIVERGED}")
    meta = _Meta(training.step, training.schedule.elapsed, training.averaged.updates)
    save_tensors(path, tensors, {"progress": json.dumps(asdict(meta))})


def read_progress(path: Path) -> Progress:
    """Step and seconds of a checkpoint. Raises RunError where it cannot be read."""
    meta = _meta(path)
    return Progress(meta.step, meta.elapsed)


def load_checkpoint(path: Path, training: PRNTraining) -> None:
    """Fills network, averages and optimiser as save_checkpoint left them. Raises RunError if they do not fit."""
    meta = _meta(path)
    try:
        state = load_file(path)
        with torch.no_grad():
            for name, tensor in _changing(training.network).items():
                tensor.copy_(state[f"network.{name}"])
            for name, tensor in training.averaged.average.items():
                tensor.copy_(state[f"average.{name}"])
        for name, parameter in training.network.named_parameters():
            if parameter.requires_grad:
                prefix, suffix = "optimizer.", f".{name}"
                keys = [k for k in state if k.startswith(prefix) and k.endswith(suffix)]
                training.optimizer.state[parameter] = {
                    k[len(prefix) : -len(suffix)]: _placed(k, state[k], parameter) for k in keys
                }
    except (KeyError, RuntimeError, SafetensorError) as error:
        raise RunError(f"{path} does not fit this run's settings; train anew into another folder") from error
    training.averaged.updates = meta.updates


def _changing(network: nn.Module) -> dict[str, Tensor]:
    """All that a step changes: what is averaged, and the counters of the norms."""
    counters = {name: b for name, b in network.named_buffers() if name.endswith("num_batches_tracked")}
    return trained_tensors(network) | counters


def _placed(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    return value if key.startswith("optimizer.step.") else value.to(parameter.device)


@dataclass(frozen=True)
class _Meta:
    step: int
    elapsed: float
    updates: int


def _meta(path: Path) -> _Meta:
    try:
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["progress"])
        return _Meta(int(values["step"]), float(values["elapsed"]), int(values["updates"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RunError(f"{path} cannot be read; delete the run and train anew") from error
