"""What every benchmark shares: the hardware line, medians of repeated runs, and the JSON beside the figures."""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from protores.machine import installed_versions, processor, usable_cores

LIBRARIES = (
    "numpy",
    "opencv-python-headless",
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "scikit-learn",
    "onnxruntime",
    "openvino",
    "nncf",
)
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
RESULTS = Path(__file__).resolve().parent / "results"


def hardware() -> dict[str, Any]:
    """CPU model, usable cores, Python and library versions."""
    return {
        "cpu": processor(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "versions": installed_versions(LIBRARIES),
    }


def median_seconds(call: Callable[[], Any], repeats: int = 7, warmup: int = 1) -> float:
    """Median wall seconds of `repeats` calls after `warmup` uncounted ones."""
    for _ in range(warmup):
        call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def write(name: str, figures: dict[str, Any], **meta: Any) -> Path:
    """Writes benchmarks/results/NAME.json: the figures, the command, the hardware and `meta` (seed, ...)."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    command = "python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    record = {"figures": figures, "command": command, "hardware": hardware(), **meta}
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path
