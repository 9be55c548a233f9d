"""Rows on a Ray cluster: a task each, tried again where it fails or its machine is lost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from protores.fleet.row import RowFolder
from protores.fleet.share import Share
from protores.fleet.task import failure, train_row

RETRIES = 2
"""Attempts after the first."""
LOOK = 1.0
"""Seconds between looks at what goes on."""
GRACE = 60.0
"""Seconds that trainings have to save their state when the user says stop."""


def machines() -> list[Mapping[str, float]]:
    """What each machine of the cluster has: CPU, GPU and the rest, as Ray counts."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def attempt(
    folders: Sequence[RowFolder],
    share: Share,
    ended: Callable[[RowFolder, str | None], None],
    look: Callable[[], None],
) -> None:
    """Has all rows trained, in this order, as many at a time as the cluster has shares for.

    ended: is told each row as it ends, and why it failed, else None. look: is called every LOOK seconds or so.
    On KeyboardInterrupt the trainings save their state and end, then it goes on.
    """
    task: Any = ray.remote(
        num_cpus=share.cpus,
        num_gpus=share.gpus,
        max_retries=RETRIES,
        retry_exceptions=True,
        scheduling_strategy="SPREAD",
        max_calls=1,  # a process per row, whose memory and threads end with it
    )(train_row)
    running = {task.remote(folder, share): folder for folder in folders}
    try:
        while running:
            done, _ = ray.wait(list(running), timeout=LOOK)
            for reference in done:
                ended(running.pop(reference), _failure(reference))
            look()
    except KeyboardInterrupt:
        for reference in running:
            ray.cancel(reference)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=GRACE)
        raise


def _failure(reference: Any) -> str | None:
    try:
        ray.get(reference)
    except RayTaskError as error:
        return failure(error.cause)
    except RayError as error:
        first = str(error).strip().partition("\n")[0]
        return f"its process or machine was lost {RETRIES + 1} times ({first[:200]}); look at memory and machines"
    return None
