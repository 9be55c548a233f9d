"""One row of a plan, in a process of its own: what `protores train` does, and looks at the test set beside it.

    python benchmarks/row.py FOLDER [--cores 0,1]

accuracy.py starts it. FOLDER has row.json, which says what to train; the run goes into its `run`, and the figures into
figures.json once all is done. Started again, it goes on where it was. The looks are for `best_on_test`, the best of
them, which much of the literature reports: they change no bit of the training, and metrics.json has nothing of them.
"""

import argparse
import fcntl
import json
import os
import resource
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protores.errors import ProtoresError, RunError
from protores.files import write_json

if TYPE_CHECKING:
    from protores.judgement import Judgement
    from protores.run import Run

FIGURES = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pro", "pixel_f1_max")


def train_row(folder: Path) -> None:
    """Trains what folder/row.json says and writes folder/figures.json. Raises ProtoresError as training does."""
    from protores import presets, workflow
    from protores.console import ConsoleProgress
    from protores.run import Run

    row = json.loads((folder / "row.json").read_text())
    data, overrides = Path(row["data"]), row["overrides"]
    if row["masks"] is not None:
        from wrong_masks import copy_with_masks

        asked = presets.load(row["preset"], {**overrides, "data.root": data})
        data, overrides = folder / "data", {**overrides, "split.seen": "all"}
        if not data.exists():
            copy_with_masks(asked, row["masks"], data)
    run, looks = Run(folder / "run"), Looks(folder / "looks.json", row["apart"])
    if run.exists and not run.settings.exists():
        shutil.rmtree(run.path)  # it was cut off before anything could be resumed
    with ConsoleProgress() as progress:
        watch = looks if row["looks"] else None
        workflow.train(data, run.path, row["preset"], overrides, resume=True, progress=progress, watch=watch)
    write_json(folder / "figures.json", _facts(run, looks.found))
    if not row["keep"]:
        run.model.unlink()
    if data == folder / "data":
        shutil.rmtree(data)


class Looks:
    """Is called with the test images' judgement at a step, and keeps the figures in a file.

    apart: sets of kinds; their defects and all others are judged by themselves too, the latest time.
    """

    def __init__(self, path: Path, apart: Sequence[Sequence[str]]):
        self.path, self.apart = path, apart
        self.found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"looks": [], "apart": {}}

    def __call__(self, step: int, judgement: "Judgement") -> None:
        for kinds in self.apart:
            figures = judgement.evaluator.compute(kinds)
            halves = {"seen": asdict(figures.seen), "unseen": asdict(figures.unseen)}
            self.found["apart"][",".join(kinds)] = halves
        before = [look for look in self.found["looks"] if look["step"] < step]
        figures = {name: getattr(judgement.figures, name) for name in FIGURES}
        self.found["looks"] = [*before, {"step": step, **figures}]
        write_json(self.path, self.found)


def best_on_test(looks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The look with the highest image AUROC, and of those the highest pixel AP; None where nobody looked."""
    return max(looks, key=lambda look: (look["image_auroc"] or 0.0, look["pixel_ap"] or 0.0), default=None)


def _facts(run: "Run", found: dict[str, Any]) -> dict[str, Any]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    metrics, settings, environment = run.read_metrics(), run.read_settings(), json.loads(run.environment.read_text())
    network = run.load_network(settings)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, *settings.data.size))
    on_card = torch.cuda.is_available()
    return {
        "averaged_weights": metrics,
        "best_on_test": best_on_test(found["looks"]),
        "looks": found["looks"],
        "apart": found["apart"],
        "images": run.read_split().counts,
        "input": settings.data.size,
        "steps": metrics["steps"],
        "batch_size": settings.training.batch_size,
        "training_seconds": metrics["seconds"]["training"],
        "images_per_second": metrics["images_per_second"],
        "parameters": sum(p.numel() for p in network.parameters()),
        "trained_parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "prototypes": len(network.residuals.prototypes.maps_0),
        "gflop": round(counter.get_total_flops() / 1e9, 2),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "peak_gpu_memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2) if on_card else None,
        "machine": {name: environment[name] for name in ("processor", "gpu", "threads", "precision", "versions")},
    }


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Holds folder/lock. Raises RunError where another process trains this row."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another process trains {folder.name}; wait for it, or end it") from error
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", help="those that it may use; default: all")
    arguments = parser.parse_args()
    if arguments.cores:
        os.sched_setaffinity(0, map(int, arguments.cores.split(",")))
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    try:
        with only_one(arguments.folder):
            train_row(arguments.folder)
    except ProtoresError as error:
        print(f"protores: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
