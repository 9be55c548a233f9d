"""What a training may use of its machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protores.errors import SettingsError
from protores.settings import TrainingSettings

MOST_WORKERS = 8
"""Processes that make batches ahead."""


@dataclass(frozen=True)
class Share:
    """cpus: whole ones, 1 at least. gpus: whole ones, or a part of one that others share; 0: none."""

    cpus: int
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus} CPU{'s' * (self.cpus != 1)} and {self.gpus:g} GPU{'s' * (self.gpus != 1)}"

    def settings(self, begun: TrainingSettings | None) -> dict[str, Any]:
        """Threads and processes that stay within it. begun: what an interrupted run was begun with, which stays."""
        if begun is not None:
            return {"training.threads": begun.threads, "training.workers": begun.workers}
        ahead = 0 if self.cpus <= 2 and not self.gpus else min(MOST_WORKERS, self.cpus - 1)
        return {"training.threads": self.cpus, "training.workers": ahead}


def share_of(machines: Sequence[Mapping[str, float]], cpus: int | None, gpus: float | None) -> Share:
    """As asked; else a GPU where there are any, with the CPUs that fall to it, or else one CPU.

    machines: CPU and GPU of each, as Ray counts. Raises SettingsError where none is large enough.
    """
    with_gpus = [machine for machine in machines if machine.get("GPU", 0) >= 1]
    if gpus is None:
        gpus = 1 if with_gpus else 0
    if gpus > 1 and gpus != int(gpus):
        raise SettingsError(f"{gpus:g} GPUs cannot be shared out; pass a part of one, or whole ones")
    if cpus is None and gpus and with_gpus:
        cpus = int(min(machine.get("CPU", 1) * gpus // machine["GPU"] for machine in with_gpus))
    share = Share(max(1, cpus or 1), gpus)
    if not any(m.get("CPU", 0) >= share.cpus and m.get("GPU", 0) >= share.gpus for m in machines):
        raise SettingsError(f"no machine of the cluster has {share}; lower --cpus-per-row or --gpus-per-row")
    return share
