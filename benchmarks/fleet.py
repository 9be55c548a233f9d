"""Rows per hour of a fleet of small trainings: by a loop without Ray, by Ray with one and with two workers, in turns.

    python benchmarks/fleet.py [--rows 4] [--steps 40] [--rounds 1]

A row is a toy product of 64 x 64 with its own seed: training, judging, report, in a process of one thread. So small a
row is mostly start-up: it shows what Ray costs, and that workers add up; rows of a plant take minutes to hours each.
The loop is `protores train` and `protores report`, one after the other. Writes benchmarks/results/fleet.json and the
table of docs/scale.md.
"""

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, write

from protores import toy
from protores.cluster import connected
from protores.fleet.fleet import fleet

PAGE = ROOT / "docs" / "scale.md"
SETTINGS = {
    "split.seen": "5",
    "data.size": "[64, 64]",
    "model.weights": "random",
    "training.minutes": "null",
    "training.batch_size": "8",
    "training.precision": "f32",
    "training.threads": "1",
}


def by_loop(data: Path, rows: int, settings: dict[str, str], out: Path) -> None:
    """The commands that a fleet spares one."""
    chosen = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    for seed in range(rows):
        run = out / f"seed{seed}"
        train = ["train", data, "--out", run, "--preset", "quick", "--seed", seed, *chosen]
        for command in (train, ["report", run, "--out", run / "report.html"]):
            words = [sys.executable, "-m", "protores.cli", *map(str, command)]
            subprocess.run(words, check=True, capture_output=True)


def by_fleet(data: Path, rows: int, settings: dict[str, str], out: Path, workers: int) -> None:
    table = out / "table.csv"
    out.mkdir(parents=True)
    row = {
        "product": "board",
        "data": str(data),
        "preset": "quick",
        "seed": " ".join(map(str, range(rows))),
        **settings,
    }
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    with connected(cpus=workers):
        summary = fleet(table, out / "fleet")
    assert len(summary.finished) == rows, list(summary.lines())


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every round, Ray's start included, and rows per hour of the median."""
    settings = SETTINGS | {"training.steps": str(arguments.steps)}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as home:
        data = toy.draw(Path(home) / "board", good=24, test_good=5, defects_per_kind=3, size=64)
        for number in range(arguments.rounds):
            ways: dict[str, Callable[[Path], None]] = {
                "a loop, without Ray": lambda out: by_loop(data, arguments.rows, settings, out),
                "fleet, 1 worker": lambda out: by_fleet(data, arguments.rows, settings, out, 1),
                "fleet, 2 workers": lambda out: by_fleet(data, arguments.rows, settings, out, 2),
            }
            for way, work in ways.items():
                began = time.perf_counter()
                work(Path(home) / f"{way}-{number}")
                seconds.setdefault(way, []).append(round(time.perf_counter() - began, 1))
    return {
        way: {"seconds": found, "rows_per_hour": round(3600 * arguments.rows / statistics.median(found))}
        for way, found in seconds.items()
    }


def fill_page() -> None:
    record = json.loads((RESULTS / "fleet.json").read_text())
    lines = ["| way | rows per hour | seconds of each round |", "|---|---:|---|"]
    lines += [
        f"| {way} | {found['rows_per_hour']} | {', '.join(f'{s:g}' for s in found['seconds'])} |"
        for way, found in record["figures"].items()
    ]
    machine = f"{record['hardware']['cpu']}, {record['hardware']['cores']} cores, load {record['load']} before"
    note = (
        f"{record['rows']} rows of {record['steps']} steps, by `{record['command']}` on {machine}: others used it too."
    )
    table = "\n".join(lines) + f"\n\n{note}"
    text = PAGE.read_text(encoding="utf-8")
    filled = re.sub(
        "<!-- fleet -->.*<!-- /fleet -->", lambda _: f"<!-- fleet -->\n{table}\n<!-- /fleet -->", text, flags=re.S
    )
    PAGE.write_text(filled, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    load = round(os.getloadavg()[0], 1)
    write("fleet", measure(arguments), rows=arguments.rows, steps=arguments.steps, load=load)
    fill_page()


if __name__ == "__main__":
    main()
