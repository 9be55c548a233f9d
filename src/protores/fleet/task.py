"""What a machine of the cluster does with a row: it trains, writes the report and keeps the figures."""

import os
import platform
import time
import traceback
from contextlib import closing
from datetime import UTC, datetime
from json import dumps
from sqlite3 import Connection

from protores.errors import ProtoresError, RunError
from protores.fleet.row import FIGURES, Outcome, Row, RowFolder
from protores.fleet.share import Share
from protores.lock import lock

PATIENCE = 120.0
"""Seconds that an attempt waits for a former one, on a machine that was given up, to be gone."""


def train_row(folder: RowFolder, share: Share) -> None:
    """Does what folder.asked() says, and goes on where a former attempt was cut off. Raises what training raises."""
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # as the command line does, before torch is loaded
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        del os.environ[name]  # SLURM may have started Ray; to Lightning a row would be one of its tasks
    row, began = folder.asked(), time.monotonic()
    try:
        with closing(_held(folder)):
            if folder.outcome() is not None:
                return  # a former attempt ended it after all
            figures, steps = _train(row, folder, share)
            seconds = round(time.monotonic() - began, 1)
            folder.finish(Outcome(figures, steps, seconds, platform.node(), _now()))
    except Exception as error:
        if type(error).__name__ != "Interrupted":
            with folder.errors.open("a", encoding="utf-8") as file:
                file.write(f"{_now()} on {platform.node()}\n{traceback.format_exc()}\n")
        raise


def _train(row: Row, folder: RowFolder, share: Share) -> tuple[dict[str, float | None], int]:
    from protores import workflow
    from protores.report.page import report
    from protores.run import Run

    run = Run(folder.run)
    begun = run.read_settings().training if run.exists else None
    overrides = {"seed": row.seed, **share.settings(begun), **row.overrides}
    texts = {key: dumps(value) for key, value in overrides.items()}
    figures = workflow.train(row.data, run.path, row.preset, texts, resume=True)
    report(run.path, folder.report)
    return {name: getattr(figures, name) for name in FIGURES}, run.read_metrics()["steps"]


def _held(folder: RowFolder) -> Connection:
    """The row's lock. Raises RunError where another process still has it after PATIENCE."""
    refusal = RunError(f"another process trains in {folder.path}; wait for it, or end it")
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return lock(folder.path / "lock", refusal)
        except RunError:
            if time.monotonic() > until:
                raise
            time.sleep(1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def failure(error: BaseException) -> str:
    """One line on why an attempt failed."""
    text = " ".join(str(error).split())
    if isinstance(error, ProtoresError):
        return text
    return f"{type(error).__name__}: {text[:300]}; errors.txt in its folder has all of it"
