"""`protores score` on one machine: rows per second by 1 and 2 workers, peak memory by the archive's length.

    python benchmarks/archive.py scoring [--images 1000 10000] [--rounds 2] [--home DIR]
    python benchmarks/archive.py planning [--paths 10000000] [--parts manifest listing ...]

scoring: PNG files of 128 x 128, 50 drawn boards over and over, through a network for that size with random weights in
OpenVINO (bf16), by 1 and by 2 workers in turns, and with 2 workers the longest archive as well. Rows per second are
those from the first shard to the last, so without Ray's start. Resident memory of each process is read every half a
second, and what is told is the highest sum at one time: pages that processes share count in each of them.

planning: what grows with an archive but the scoring itself: listing a folder, the manifest, Ray Data's plan of shards,
and the look at shards that are there already.

The figures go into benchmarks/results/, from where benchmarks/archive_page.py takes them to docs/scale.md.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq
from common import write

from protores.toy.dataset import draw_good

SIDE, DRAWN, SHARD = 128, 50, 100
EVERY = 0.5
"""Seconds between looks at the memory."""
MIB = 2**20
Figures = dict[str, Any]


def bundle_in(home: Path) -> Path:
    """A network for SIDE x SIDE with 10 prototypes; the one in `home` if there is one."""
    from speed import bundles

    return bundles(home, 10, {"data.size": f"[{SIDE}, {SIDE}]"}, ("openvino_bf16",))["openvino_bf16"]


def archive_of(home: Path, images: int) -> Path:
    """So many files, a thousand in a folder; links to few, as their content is the same."""
    folder, drawn = home / f"archive_{images}", home / "drawn"
    if not drawn.exists():
        drawn.mkdir()
        for seed in range(DRAWN):
            png = cv2.imencode(".png", draw_good(np.random.default_rng(seed), SIDE)[..., ::-1])[1]
            (drawn / f"{seed}.png").write_bytes(png.tobytes())
    for number in range(images):
        path = folder / f"{number // 1000:04d}" / f"{number:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.link(drawn / f"{number % DRAWN}.png", path)
    return folder


class Watched:
    """A command's processes: resident memory by role over time, and the workers' CPU time."""

    def __init__(self, command: list[str]):
        self.start = time.perf_counter()
        self.process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.peaks: dict[str, float] = {}
        self.series: list[tuple[float, float]] = []
        self.cpu: dict[int, float] = {}
        thread = threading.Thread(target=self._watch)
        thread.start()
        self.told, self.failed = self.process.communicate()
        thread.join()

    def _watch(self) -> None:
        while self.process.poll() is None:
            sums = dict.fromkeys(("command", "workers", "ray"), 0.0)
            for process in (self.process, *self._children()):
                try:
                    role = self._role(process)
                    sums[role] += process.memory_info().rss / MIB
                    if role == "workers":
                        times = process.cpu_times()
                        self.cpu[process.pid] = times.user + times.system
                except psutil.Error:
                    continue
            sums["all"] = sum(sums.values())
            self.peaks = {role: max(value, self.peaks.get(role, 0.0)) for role, value in sums.items()}
            self.series.append((round(time.perf_counter() - self.start, 1), round(sums["all"])))
            time.sleep(EVERY)

    def _children(self) -> list[psutil.Process]:
        try:
            return self.process.children(recursive=True)
        except psutil.Error:
            return []

    def _role(self, process: psutil.Process) -> str:
        if process.pid == self.process.pid:
            return "command"
        return "workers" if "MapWorker" in " ".join(process.cmdline()) else "ray"


def scored(bundle: Path, archive: Path, workers: int) -> Figures:
    """One call of the command."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        out, began = Path(temporary) / "scored", time.time()
        words = ["score", bundle, archive, "--out", out, "--workers", workers, "--shard-size", SHARD]
        watched = Watched([sys.executable, "-m", "protores.cli", *map(str, words)])
        if watched.process.returncode:
            sys.exit(watched.failed)
        wall = time.time() - began
        files = sorted(out.glob("shard-*.parquet"), key=lambda path: path.stat().st_mtime)
        done = [path.stat().st_mtime for path in files]
        size = sum(path.stat().st_size for path in files)
        manifest = sum(path.stat().st_size for path in (out / "_manifest").iterdir())
        regions = sum(map(len, pq.read_table(out, columns=["regions"])["regions"].to_pylist()))
    images = SHARD * len(files)
    return {
        "images": images,
        "workers": workers,
        "rows_per_second": round((images - SHARD) / (done[-1] - done[0]), 2),
        "seconds_to_first_shard": round(done[0] - began, 1),
        "seconds": round(wall, 1),
        "workers_cpu_ms_per_row": round(1e3 * sum(watched.cpu.values()) / images, 2),
        "peak_mib": {role: round(value) for role, value in watched.peaks.items()},
        "parquet_bytes_per_row": round(size / images, 1),
        "regions_per_row": round(regions / images, 2),
        "manifest_bytes_per_row": round(manifest / images, 1),
        "memory": watched.series,
    }


def scoring(home: Path, lengths: list[int], rounds: int) -> Figures:
    """Both numbers of workers in turns, then the longer archives by the larger one."""
    bundle, found = bundle_in(home), []
    for _ in range(rounds):
        found += [scored(bundle, archive_of(home, lengths[0]), workers) for workers in (1, 2)]
    found += [scored(bundle, archive_of(home, images), 2) for images in lengths[1:]]
    first = {w: [run for run in found if (run["workers"], run["images"]) == (w, lengths[0])] for w in (1, 2)}
    rates = {w: statistics.median(run["rows_per_second"] for run in runs) for w, runs in first.items()}
    return {
        "side": SIDE,
        "shard_size": SHARD,
        "rows_per_second": {str(workers): round(rate, 2) for workers, rate in rates.items()},
        "two_workers_over_one": round(rates[2] / rates[1], 2),
        "runs": found,
    }


def paths(number: int) -> Iterator[str]:
    """As a plant's archive may name them: product, day, serial number."""
    for image in range(number):
        yield f"board/2026-{image // 2_800_000 % 12 + 1:02d}-{image // 100_000 % 28 + 1:02d}/cam0_{image:010d}.png"


def manifest(number: int, home: Path) -> Figures:
    from protores.archive.manifest import Manifest
    from protores.progress import Progress

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, start = time.process_time(), time.perf_counter()
    written = Manifest.write(home, "/archive", "0" * 64, 1000, paths(number), Progress())
    figures = used(cpu, start, before) | {"paths": number, "shards": written.shards}
    size = sum(path.stat().st_size for path in (home / "_manifest").iterdir())
    cpu, start = time.process_time(), time.perf_counter()
    for shard in range(0, written.shards, max(1, written.shards // 100)):
        written.paths(shard)
    reads = len(range(0, written.shards, max(1, written.shards // 100)))
    return figures | {"bytes_per_path": round(size / number, 2), "ms_per_shard_read": round(
        1e3 * (time.process_time() - cpu) / reads, 2
    )}  # fmt: skip


def listing(number: int, home: Path, in_a_folder: int = 10_000) -> Figures:
    """Empty files, so many in a folder."""
    from protores.archive.source import Source

    empty_files(home / "listed", number, in_a_folder)
    source = Source(str(home / "listed"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, start = time.process_time(), time.perf_counter()
    found = sum(1 for _ in source.paths())
    return used(cpu, start, before) | {"files": found}


def flat(number: int, home: Path) -> Figures:
    """All of them in one folder."""
    return listing(number, home, number)


def flat_by_fsspec(number: int, home: Path) -> Figures:
    """The same as fsspec tells it, which is how every store but a local folder is listed."""
    import fsspec

    empty_files(home / "listed", number, number)
    fs = fsspec.filesystem("file")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, start = time.process_time(), time.perf_counter()
    found = len(fs.ls(str(home / "listed" / "0000"), detail=True))
    return used(cpu, start, before) | {"files": found}


def empty_files(home: Path, number: int, in_a_folder: int) -> None:
    for file in range(number):
        path = home / f"{file // in_a_folder:04d}" / f"cam0_{file:010d}.png"
        if file % in_a_folder == 0:
            path.parent.mkdir(parents=True)
        path.touch()


def resumed(number: int, home: Path) -> Figures:
    """The look at so many shards that are there, of one row each."""
    from protores.archive import shard as shards
    from protores.archive.manifest import Manifest
    from protores.archive.scoring import state
    from protores.progress import Progress

    written = Manifest(home, "/archive", "0" * 64, 1, number, "0" * 64)
    row = dict.fromkeys(shards.SCHEMA.names) | {"path": "1.png", "model": "0" * 64}
    for shard in range(number):
        shards.write(written, shard, [row])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, start = time.process_time(), time.perf_counter()
    done, waiting = state(written, Progress())
    assert (done.images, waiting) == (number, [])
    return used(cpu, start, before) | {"shards": number}


def plan(number: int, home: Path) -> Figures:
    """Ray Data over so many shards whose scoring is nothing: what each costs beside its images."""
    import ray.data

    from protores.archive.scoring import WINDOW, planned
    from protores.cluster import connected

    with connected(cpus=2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cpu, start = time.process_time(), time.perf_counter()
        for first in range(0, number, WINDOW):
            done = sum(1 for _ in planned(Nothing, (), range(first, min(number, first + WINDOW)), 2, 1).iter_rows())
        assert done == min(number, WINDOW)
        store = ray.cluster_resources()["object_store_memory"] - ray.available_resources()["object_store_memory"]
        return used(cpu, start, before) | {"shards": number, "object_store_mib": round(store / MIB, 1)}


class Nothing:
    """A worker that has nothing to do."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return batch


def used(cpu: float, start: float, before: float) -> Figures:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "seconds": round(time.perf_counter() - start, 2),
        "mib_more": round(peak - before, 1),
    }


PLANNING: dict[str, Callable[[int, Path], Figures]] = {
    "manifest": manifest, "listing": listing, "flat": flat, "flat_by_fsspec": flat_by_fsspec, "resumed": resumed,
    "plan": plan,
}  # fmt: skip


def planning(parts: list[str], paths: int, home: Path) -> Figures:
    """Each part in a process of its own, for a tenth of the number as well: what grows shows."""
    shares = {"manifest": 1, "listing": 50, "flat": 50, "flat_by_fsspec": 50, "resumed": 1000, "plan": 5000}
    sizes = {part: paths // shares[part] for part in parts}
    found: Figures = {}
    for part, number in sizes.items():
        found[part] = []
        for one in (number // 10, number):
            with tempfile.TemporaryDirectory(dir=home) as temporary:
                command = [sys.executable, __file__, part, "--paths", str(one), "--home", temporary]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[part].append(json.loads(done.stdout.splitlines()[-1]))
            print(part, found[part][-1])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scoring", "planning", *PLANNING))
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--paths", type=int, default=10_000_000)
    parser.add_argument("--parts", nargs="+", choices=tuple(PLANNING), default=list(PLANNING), help="of planning")
    parser.add_argument("--home", type=Path, help="folder to work in; a bundle that is there already is used")
    arguments = parser.parse_args()
    if arguments.what in PLANNING:
        print(json.dumps(PLANNING[arguments.what](arguments.paths, arguments.home)))
        sys.exit()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        home = arguments.home or Path(temporary)
        home.mkdir(parents=True, exist_ok=True)
        if arguments.what == "scoring":
            figures = scoring(home, arguments.images, arguments.rounds)
        else:
            figures = planning(arguments.parts, arguments.paths, home)
    loads = {"before": round(load, 2), "after": round(os.getloadavg()[0], 2)}
    print(write(f"archive_{arguments.what}", figures, seed=0, load_average=loads))
