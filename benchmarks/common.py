"""What every benchmark shares: the hardware line, medians of repeated runs, and the JSON beside the figures."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
RESULTS = Path(__file__).resolve().parent / "results"


def hardware() -> dict[str, Any]:
    """CPU model, usable cores, Python and library versions."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    versions = {}
    for name in (
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
    ):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version(), "versions": versions}


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
