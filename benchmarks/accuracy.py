"""Accuracy by the protocol of docs/results.md: runs a plan, a training per row, and makes its tables.

    python benchmarks/accuracy.py benchmarks/plans/seen.toml --data ROOT --out DIR [--size reduced] [--jobs N]
                                  [--only PATTERN] [--weights FILE] [--textures DIR] [--keep] [--list] [--docs]
    python benchmarks/accuracy.py --docs

ROOT holds the data sets under their names in the plan: ROOT/mvtec_ad/grid, ROOT/btad/01, ROOT/kolektor_sdd2. Each row
is `protores train` in a process of its own, `--jobs` of them side by side, which share the cores (and the GPU, where
there is one). Rows are known by the hash of their settings: one that is finished, by whatever plan, is not run again;
one that was cut off goes on where it was; one whose settings changed is another. A row that fails is told, and the
others go on. At the end, and after Ctrl-C, DIR has PLAN_SIZE.md and .json of what is finished. --docs also keeps them
in benchmarks/results and puts the tables into docs/results.md; without a plan it does that for all results there are.
--size reduced is for CPUs: smaller images and fewer steps, as the plan says; its tables say so.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from accuracy_tables import fill_docs, markdown, report
from common import RESULTS, ROOT, write
from plan import SIZES, Plan, Row

from protores.console import ConsoleProgress
from protores.errors import ProtoresError
from protores.files import write_json, write_text
from protores.progress import Progress

DOCS = ROOT / "docs/results.md"
TRAINER = Path(__file__).with_name("row.py")
POLL = 0.2
"""Seconds between looks at the processes."""


@dataclass
class Job:
    """A row's folder and, while it trains, its process."""

    row: Row
    folder: Path
    slot: int = 0
    process: subprocess.Popen | None = field(default=None, repr=False)

    @property
    def figures(self) -> dict[str, Any] | None:
        path = self.folder / "figures.json"
        return json.loads(path.read_text()) if path.exists() else None

    def start(self, cores: Sequence[int], slot: int) -> None:
        """Its output goes to log.txt. cores: those that it may use, none for all."""
        self.slot = slot
        command = [sys.executable, str(TRAINER), str(self.folder)]
        if cores:
            command += ["--cores", ",".join(map(str, cores))]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        with (self.folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def failure(self) -> str:
        """The last line of its output, and the signal that ended it, if one did."""
        lines = (self.folder / "log.txt").read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")
        code = self.process.returncode
        return last if code >= 0 else f"{signal.Signals(-code).name} after: {last}"


def prepare(rows: Sequence[Row], arguments: argparse.Namespace) -> list[Job]:
    """A job per row, its folder with row.json below --out; rows with the same settings share one."""
    jobs = []
    for row in rows:
        key = row.key(arguments.weights, arguments.textures)
        folder = arguments.out / "rows" / f"{row.product.replace('/', '_')}-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "data": str((arguments.data / row.product).resolve()),
            "preset": row.preset,
            "overrides": row.placed(arguments.weights, arguments.textures),
            "masks": row.masks,
            "apart": row.apart,
            "looks": row.looks,
            "keep": arguments.keep,
        }
        write_json(folder / "row.json", content)
        jobs.append(Job(row, folder))
    return jobs


def run(jobs: Sequence[Job], side_by_side: int, failed: dict[str, str], progress: Progress) -> None:
    """Trains those that are not finished, and puts into `failed` why rows did, by name.

    On Ctrl-C and SIGTERM the processes save their state and end; then KeyboardInterrupt goes on.
    """
    unfinished = {job.folder: job for job in jobs if job.figures is None}
    waiting, running = deque(unfinished.values()), []
    free, done, cores = list(range(side_by_side)), 0, shares(side_by_side)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def tell() -> None:
        progress.track("rows", done, len(unfinished), f"{done} of {len(unfinished)}, {len(failed)} failed")

    try:
        tell()
        while waiting or running:
            while waiting and free:
                job = waiting.popleft()
                slot = free.pop(0)
                job.start(cores[slot], slot)
                running.append(job)
            time.sleep(POLL)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                free.append(job.slot)
                done += 1
                if job.figures is None:
                    failed[job.row.name] = job.failure()
                    progress.note(f"failed: {job.row.name}: {job.failure()}")
                tell()
    finally:
        for job in running:
            job.process.send_signal(signal.SIGTERM)
        for job in running:
            job.process.wait()
        signal.signal(signal.SIGTERM, before)


def shares(side_by_side: int) -> list[list[int]]:
    """The cores that each of so many processes may use; no list for one alone, and where they cannot be shared out."""
    if side_by_side == 1 or not hasattr(os, "sched_getaffinity"):
        return [[] for _ in range(side_by_side)]
    cores = sorted(os.sched_getaffinity(0))
    return [cores[slot::side_by_side] or [cores[slot % len(cores)]] for slot in range(side_by_side)]


def publish(plan: Plan, jobs: Sequence[Job], failed: dict[str, str], out: Path, docs: bool) -> None:
    """Writes tables and JSON of what is finished."""
    found = report(plan, [(job.row, job.figures) for job in jobs], failed)
    name = f"{plan.name}_{plan.size}"
    write_json(out / f"{name}.json", found)
    write_text(out / f"{name}.md", markdown(found))
    print(markdown(found))
    if docs:
        write(f"accuracy_{name}", found)
        fill_docs(DOCS, RESULTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, metavar="ROOT")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name (see --list) has this in it")
    parser.add_argument("--weights", default="imagenet", metavar="imagenet|random|FILE")
    parser.add_argument("--textures", type=Path, metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="keep each row's model.safetensors")
    parser.add_argument("--list", action="store_true", help="say which rows there are, and train none")
    parser.add_argument("--docs", action="store_true", help="keep the results and fill docs/results.md")
    arguments = parser.parse_args()
    if arguments.plan is None and arguments.docs:
        fill_docs(DOCS, RESULTS)
        return 0
    if not arguments.plan or not arguments.data or not arguments.out or arguments.jobs < 1:
        parser.error("a plan, --data and --out are needed, and --jobs of at least 1")
    try:
        plan = Plan.read(arguments.plan, arguments.size)
        jobs = prepare(plan.rows(), arguments)
    except ProtoresError as error:
        print(f"protores: {error}", file=sys.stderr)
        return 2
    wanted = [job for job in jobs if fnmatch(job.row.name, f"*{arguments.only}*")]
    if arguments.list:
        for job in wanted:
            print("finished" if job.figures else "to train", job.row.name, job.folder.name)
        return 0
    failed: dict[str, str] = {}
    stopped = False
    with ConsoleProgress() as progress:
        try:
            run(wanted, arguments.jobs, failed, progress)
        except KeyboardInterrupt:
            stopped = True
    publish(plan, jobs, failed, arguments.out, arguments.docs)
    if stopped:
        print("protores: stopped; the same command goes on from there", file=sys.stderr)
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
