"""The processes of one training: Lightning starts them, or finds them started by torchrun or SLURM; here they exchange
what each of them knows.

Each process has one device: a GPU, or on a machine without one its share of the cores. Alone, everything here is what
it would be without a group, and nothing is started.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn

from protores.errors import ProtoresError, RunError, SettingsError

T = TypeVar("T")
LOST = "a process of this training was lost; what it said is above, and the same command with --resume goes on"


class Elsewhere(ProtoresError):
    """What went wrong is told by the first process; the others have nothing to add."""


@dataclass(frozen=True)
class Group:
    """`rank` of `size` processes. All of them have to call its methods, in the same order.

    environment: Lightning's view of who started them; None alone.
    """

    rank: int = 0
    size: int = 1
    environment: ClusterEnvironment | None = None

    @property
    def is_first(self) -> bool:
        """This process writes, prints and is obeyed."""
        return self.rank == 0

    def on_first(self, call: Callable[[], T]) -> T:
        """What `call` gives on the first process, where alone it runs. Raises everywhere what it raises there."""
        if self.size == 1:
            return call()
        outcome: list[Any] = [None, False]
        if self.is_first:
            try:
                outcome = [call(), True]
            except Exception:
                dist.broadcast_object_list(outcome)
                raise
        dist.broadcast_object_list(outcome)
        if not outcome[1]:
            raise Elsewhere("the first process tells what went wrong")
        return outcome[0]

    def on_each(self, call: Callable[[], T], first_alone: bool = False) -> T:
        """What `call` gives on this process. Where it raises a ProtoresError on any, all stop, and the first tells.

        first_alone: the others wait for the first, and profit from what it has left on the disk.
        """
        if self.size == 1:
            return call()
        result, error = None, None
        if first_alone and not self.is_first:
            dist.barrier()
        try:
            result = call()
        except ProtoresError as raised:
            error = raised
        if first_alone and self.is_first:
            dist.barrier()
        errors = self._gather(None if error is None else str(error))
        if error is not None and self.is_first:
            raise error
        for rank, told in enumerate(errors):
            if told is not None:
                raise RunError(f"process {rank}: {told}") if self.is_first else Elsewhere(told)
        return cast(T, result)

    def gather_on_first(self, value: T) -> list[T]:
        """Every process's value, in their order, on the first; nothing on the others."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        dist.gather_object(value, values)
        return values or []

    def copy(self, tensor: Tensor, source: int = 0) -> None:
        """Fills a tensor with what it holds on process `source`."""
        if self.size == 1:
            return
        if tensor.ndim == 4:
            tensor = tensor.permute(0, 2, 3, 1)  # maps are channels last: dense so
        dense = tensor.to(_device()).contiguous()
        dist.broadcast(dense.reshape(-1).view(torch.uint8), source)  # of any type, bit for bit
        tensor.copy_(dense)

    def fill(self, module: nn.Module, call: Callable[[], object]) -> None:
        """Lets the first process fill a module's buffers by `call`, and gives all processes what they hold then."""
        self.on_first(call)
        for tensor in module.buffers():
            self.copy(tensor)

    def agreed(self, number: float) -> float:
        """The first process's number."""
        if self.size == 1:
            return number
        told = torch.tensor(number, dtype=torch.float64, device=_device())
        self.copy(told)
        return float(told)

    def any(self, flag: bool) -> bool:
        """It is so on at least one process."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag), device=_device())))

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; gradients flow to all of them."""
        return tensor if self.size == 1 else differentiable.all_reduce(tensor)

    def _gather(self, value: Any) -> list[Any]:
        values = [None] * self.size
        dist.all_gather_object(values, value)
        return values


ALONE = Group()


@contextmanager
def processes(devices: int, nodes: int) -> Iterator[Group]:
    """The group of `devices` processes on each of `nodes` machines, this process among them.

    Unless torchrun, SLURM or the like started them, Lightning starts the others of this machine: with the same command
    line, so that they come here too. Raises SettingsError where there cannot be that many, RunError on the first and
    Elsewhere on the others where one is lost.
    """
    group = _start(devices, nodes)
    try:
        yield group
    except RuntimeError as error:
        if group.size == 1 or not _is_lost(error):
            raise
        raise (RunError if group.is_first else Elsewhere)(LOST) from error


def is_first() -> bool:
    """This process is the first of its group, or alone."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def _start(devices: int, nodes: int) -> Group:
    elastic = TorchElasticEnvironment.detect()
    if elastic and TorchElasticEnvironment().world_size() != devices * nodes:
        started = TorchElasticEnvironment().world_size()
        raise SettingsError(
            f"torchrun started {started} processes, but --devices {devices} and --nodes {nodes} make {devices * nodes};"
            " pass what --nproc_per_node and --nnodes say"
        )
    if devices * nodes == 1:
        return ALONE
    _refuse_missing(devices)
    quiet()
    slurm = not elastic and SLURMEnvironment.detect()
    try:
        # A requeued job comes back through --resume, and not through a checkpoint of Lightning's.
        plugins = [SLURMEnvironment(auto_requeue=False)] if slurm else None
        fabric = Fabric(accelerator="auto", devices=devices, num_nodes=nodes, strategy="ddp", plugins=plugins)
        environment = fabric.strategy.cluster_environment
        if nodes > 1 and isinstance(environment, LightningEnvironment) and not _knows_nodes():
            raise SettingsError(
                f"nobody started this on {nodes} nodes; start it on each of them by torchrun or srun, or with"
                " MASTER_ADDR, MASTER_PORT and NODE_RANK set"
            )
        fabric.launch()
    except (ValueError, RuntimeError, MisconfigurationException) as error:  # what Lightning finds in the environment
        raise SettingsError(" ".join(str(error).split())) from error
    return Group(fabric.global_rank, fabric.world_size, environment)


def _knows_nodes() -> bool:
    """Whoever starts the command on each node by hand says where the others are."""
    return {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"} <= {*os.environ}


def _refuse_missing(devices: int) -> None:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there, what = (gpus, "GPUs") if gpus else (os.cpu_count() or 1, "cores")
    if devices > there:
        raise SettingsError(f"this machine has {there} {what}, not {devices}; pass --devices {there} or less")


def _device() -> torch.device:
    """Where the backend of the processes wants tensors."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _is_lost(error: RuntimeError) -> bool:
    """gloo has no exception of its own."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def quiet() -> None:
    """Lightning says nothing but errors, and torch nothing of its own names or of how gradients lie in memory."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message="torch.distributed.nn.functional.all_reduce is deprecated")
    warnings.filterwarnings("ignore", module="torch.autograd.graph")
