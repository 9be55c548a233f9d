"""Peak memory of `protores train` by the number of good images, and many of them within the memory of the fewest.

    python benchmarks/memory.py [--good 500,5000] [--layout parts|flat] [--size 128] [--steps 6] [--slack 1.25]
    python benchmarks/memory.py --docs                         # the tables of docs/scale.md, cache.py's included

The images are those of MVTec AD grid, each with other noise, so that no two files are alike. `parts` has all N good
ones in the training part and 40 images to test on; `flat` leaves a test of 30 % to be drawn. Anonymous memory (RssAnon)
is what a process cannot do without. Pages of mapped files (RssFile, libraries among them) are counted apart: the kernel
takes them back when it needs them. ru_maxrss counts both. What the larger sets may allocate (RLIMIT_DATA: heap and all
private writable mappings, touched or not) is bound to what the smallest set was seen to allocate times the slack; a
training that needs more ends with an error.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import RESULTS, ROOT, SHARED, write

GRID = SHARED / "data/mvtec_ad/grid"
SOURCES = 24
COUNTED = {"anonymous": "RssAnon", "mapped": "RssFile", "allocated": "VmData"}


def draw(root: Path, good: int, layout: str, size: int) -> Path:
    """A data folder of that many good images, 20 more to test on and 20 defects."""

    def read(path: Path) -> np.ndarray:
        return cv2.resize(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (size, size), interpolation=cv2.INTER_AREA)

    def save(path: Path, image: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])

    flat = layout == "flat"
    rng = np.random.default_rng(good)
    sources = [read(path) for path in sorted((GRID / "train/good").glob("*.png"))[:SOURCES]]
    names = ("good" if flat else "train/good", "bad" if flat else "test", "masks" if flat else "ground_truth")
    for i in range(good):
        noise = rng.integers(-3, 4, (size, size), dtype=np.int16)
        save(root / names[0] / f"{i:06}.png", np.clip(sources[i % SOURCES] + noise, 0, 255).astype(np.uint8))
    for path in [] if flat else sorted((GRID / "test/good").glob("*.png"))[:20]:
        save(root / "test/good" / path.name, read(path))
    for kind in ("bent", "broken"):
        for path in sorted((GRID / "test" / kind).glob("*.png"))[:10]:
            save(root / names[1] / kind / path.name, read(path))
            mask = (read(GRID / "ground_truth" / kind / f"{path.stem}_mask.png") > 127).astype(np.uint8) * 255
            save(root / names[2] / kind / f"{path.stem}_mask.png", mask)
    return root


def train(data: Path, out: Path, cache: Path, size: int, steps: int, limit: int | None = None) -> dict[str, Any]:
    """One training in a process of its own. limit: bytes that it may allocate."""
    settings = {
        "data.size": f"[{size}, {size}]",
        "data.cache": str(cache),
        "training.steps": steps,
        "training.validate_every": steps,
        "split.calibration": 0.02,
        "training.minutes": "null",
    }
    command = [
        *(sys.executable, "-m", "protores.cli", "train", str(data), "--out", str(out), "--seen", "4"),
        *("--weights", str(SHARED / "weights/resnet18_tv_in1k_to_layer3.safetensors")),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    start = time.monotonic()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, preexec_fn=bound)
    peaks = dict.fromkeys(COUNTED, 0)
    while True:
        peaks = {name: max(peak, held(child.pid).get(COUNTED[name], 0)) for name, peak in peaks.items()}
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"training on {data} ended with {child.returncode}")
    metrics = json.loads((out / "metrics.json").read_text())
    return {
        "peak_mb": {
            **{name: round(peak / 1e6) for name, peak in peaks.items()},
            "rss": round(usage.ru_maxrss * 1.024e-3),
        },
        "seconds": round(time.monotonic() - start, 1),
        "seconds_until_training": round(metrics["seconds"]["all"] - metrics["seconds"]["training"], 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "test_images": metrics["counts"]["images"],
        "trained_on": json.loads((out / "split.json").read_text())["counts"]["train"],
        "prototypes_from": metrics["prototype_images"],
    }


def held(pid: int) -> dict[str, int]:
    """Bytes of each kind of memory that a process holds, by the names of /proc/PID/status."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":")[::2] for line in lines)
    return {name: int(value.split()[0]) * 1024 for name, value in pairs if value.endswith("kB")}


def fill(page: Path) -> None:
    """Puts the tables between their markers."""
    tables = {"cache": cache_table()}
    heads = ("good images", "of them train", "prototypes from", "tested on", "limit", "anonymous", "with mapped files")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for path in sorted(RESULTS.glob("memory_*.json"), reverse=True):
        found = json.loads(path.read_text())
        for run in found["figures"]["runs"]:
            limit = "-" if run["limit_mb"] is None else f"{run['limit_mb']} MB"
            images = f"{run['good']} of {found['size']} x {found['size']}"
            rows.append(
                f"| {images} | {run['trained_on']} | {run['prototypes_from']} | {run['test_images']} | {limit} "
                f"| {run['peak_mb']['anonymous']} MB | {run['peak_mb']['rss']} MB |"
            )
    tables["memory"] = rows
    text = page.read_text()
    for name, lines in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        after = rest.partition(f"<!-- /{name} -->")[2]
        text = "\n".join([f"{before}<!-- {name} -->", *lines, f"<!-- /{name} -->{after}"])
    page.write_text(text)


def cache_table() -> list[str]:
    """What benchmarks/cache.py found."""
    found = json.loads((RESULTS / "cache.json").read_text())["figures"]
    opening, batch, image = (
        [f"{found[f'{what}_{how}_ms']}" for how in hows]
        for what, hows in (
            ("open", ("without", "filling", "full")),
            ("batch", ("memory", "cache")),
            ("image", ("memory", "cache")),
        )
    )
    return [
        "| ms | without a cache | filling it | from it |",
        "|---|---|---|---|",
        f"| opening, by image | {' | '.join(opening)} |",
        f"| a batch of 16 | {' | | '.join(batch)} |",
        f"| looking at an image | {' | | '.join(image)} |",
        "",
        f"Opening is {found['opened_times_as_fast']} times as fast the second time, and a batch takes "
        f"{found['batch_cache_over_memory']} times as long from the cache as from memory.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", default="500,5000")
    parser.add_argument("--layout", choices=("parts", "flat"), default="parts")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--slack", type=float, default=1.25)
    parser.add_argument("--docs", action="store_true", help="write the tables of docs/scale.md")
    arguments = parser.parse_args()
    if arguments.docs:
        fill(ROOT / "docs/scale.md")
        return
    few, *more = sorted(map(int, arguments.good.split(",")))
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for good in (few, *more):
            data, out = Path(folder) / f"data_{good}", Path(folder) / f"run_{good}"
            draw(data, good, arguments.layout, arguments.size)
            limit = round(arguments.slack * 1e6 * runs[0]["peak_mb"]["allocated"]) if good > few else None
            found = train(data, out, Path(folder) / "cache", arguments.size, arguments.steps, limit)
            limit_mb = None if limit is None else round(limit / 1e6)
            runs.append({"good": good, "limit_mb": limit_mb, **found})
            print(runs[-1], flush=True)
            write(f"memory_{arguments.layout}", {"runs": runs}, size=arguments.size, steps=arguments.steps, seed=0)


if __name__ == "__main__":
    main()
