"""100,000 inputs for each reader of files from strangers, by each of three engines, and 100,000 requests.

    python benchmarks/fuzz.py [--inputs 100000] [--minutes 60] [--only image,http] [--engines random,hypothesis]

Targets and inputs are in tests/fuzz: valid files with a few bytes or values changed, by plain chance and as hypothesis
draws them; atheris follows the branches that inputs take (`pip install .[fuzz]`; without it its figures are null);
schemathesis makes requests of the station's OpenAPI, to a station in the process, on a small network that is exported
for it. Each target and engine runs in a process of its own, so that a crash or a hang is found as such; the findings
are counted, and their inputs kept in the folder given by --keep. --only and --engines renew these figures alone,
--minutes ends each run early. Results: benchmarks/results/fuzz.json, for docs/reliability.md.
"""

import argparse
import importlib.util
import json
import logging
import mmap
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from common import RESULTS, ROOT, write
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

HARNESS = ROOT / "tests" / "fuzz"
sys.path.insert(0, str(HARNESS))
from limits import GROWTH, LONGEST, in_time, peak, resident  # noqa: E402

READERS = ("image", "contract", "split", "settings", "uses")
HTTP = "http"
ENGINES = ("random", "hypothesis", "atheris", "schemathesis")
"""The last is for HTTP alone, the others are for the readers."""
SEED = 0
MEMORY = 4 << 30
"""Bytes that a process may map."""
BATCH = 1000
"""Examples after which hypothesis begins anew: what it remembers of them is memory too."""
EARLY = 1000
"""Inputs, a tenth of all at most, after which memory should not grow any more."""
FEW = 40
"""The same of one kind of request."""


class Last:
    """The input that is being tried, in a file that outlives the process, without a system call for each."""

    SIZE = 1 << 20

    def __init__(self, path: Path):
        self.path = path
        path.write_bytes(bytes(self.SIZE))
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    def keep(self, data: bytes) -> None:
        kept = data[: self.SIZE - 8]
        self._bytes[: 8 + len(kept)] = len(kept).to_bytes(8) + kept

    @staticmethod
    def recover(path: Path) -> None:
        """Makes the file that input alone, where the process came so far."""
        if path.exists():
            data = path.read_bytes()
            path.write_bytes(data[8 : 8 + int.from_bytes(data[:8])])


class Tally:
    """What came of the inputs so far."""

    def __init__(self, name: str, wanted: int, minutes: float, keep: Path):
        self.name, self.wanted, self.folder = name, wanted, keep
        self.began = time.monotonic()
        self.ends = self.began + 60 * minutes
        self.last = Last(keep / f"{name}-last")
        self.outcomes: Counter[str] = Counter()
        self.findings: list[str] = []
        self.tried, self.slowest = 0, 0.0
        self.early = self.early_peak = 0

    @property
    def over(self) -> bool:
        return self.tried >= self.wanted or time.monotonic() > self.ends

    def one(self, data: bytes, call: Callable[[], Any]) -> None:
        """A finding's input is kept, and the next is tried."""
        if self.tried == min(self.wanted // 10, EARLY):
            self.early, self.early_peak = resident(), peak()
        self.tried += 1
        self.last.keep(data)
        at = time.perf_counter()
        try:
            with in_time():
                self.outcomes[str(call())] += 1
        except Exception as error:  # whatever it is, it is a finding
            self.find(f"{type(error).__name__}: {_told(error)}", data)
        self.slowest = max(self.slowest, time.perf_counter() - at)

    def find(self, what: str, data: bytes) -> None:
        self.findings.append(what)
        (self.folder / f"{self.name}-{self.tried}").write_bytes(data)

    def figures(self) -> dict[str, Any]:
        growth = peak() - self.early_peak if self.early_peak else None
        if growth is not None and growth > GROWTH:
            self.find(f"memory grew by {growth} MiB", b"")
        self.last.path.unlink()
        return {
            "inputs": self.tried,
            "taken": self.outcomes["taken"] + self.outcomes["200"],
            "outcomes": dict(sorted(self.outcomes.items())),
            "findings": len(self.findings),
            "kinds of findings": sorted(set(self.findings)),
            "seconds": round(time.monotonic() - self.began, 1),
            "slowest, ms": round(1000 * self.slowest, 1),
            "resident, MiB": {"early": self.early, "at the end": resident()},
            "growth of the peak, MiB": growth,
        }


def _told(error: BaseException) -> str:
    return "; ".join(map(_told, error.exceptions)) if isinstance(error, BaseExceptionGroup) else str(error)[:300]


def examples(strategy: SearchStrategy[Any], number: int, batch: int, call: Callable[[Any], None]) -> None:
    """Calls with so many of them; each batch has others."""

    @seed(SEED + batch)
    @settings(
        max_examples=number, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def run(example: Any) -> None:
        call(example)

    run()


def read(name: str, engine: str, tally: Tally) -> None:
    """A reader's files, in this process."""
    import mutation
    import targets

    target = targets.TARGETS[name]

    def one(chance: Random) -> None:
        data = mutation.mutated(chance, name)
        tally.one(data, lambda: "taken" if target(data) else "refused")

    rng, batch = Random(SEED), 0
    while not tally.over:
        if engine == "random":
            one(rng)
        else:
            examples(mutation.CHANCE, min(BATCH, tally.wanted - tally.tried), batch, one)
            batch += 1


def ask(bundle: Path, tally: Tally) -> None:
    """Requests to a station in this process, of all endpoints in turns."""
    import endpoints

    logging.disable()
    with tempfile.TemporaryDirectory() as store, endpoints.opened(bundle, Path(store)) as station:

        def one(case: endpoints.Case) -> None:
            shown = f"{case.method} {case.path} {case.path_parameters} {case.query} {dict(case.headers)} {case.body!r}"
            tally.one(shown.encode("utf-8", "backslashreplace"), lambda: station.ask(case))

        batch = 0
        while not tally.over:
            for name, strategy in station.strategies.items():
                examples(strategy, FEW if "positive" in name else FEW // 4, batch, one)
            batch += 1


def in_process(name: str, engine: str, asked: argparse.Namespace, bundle: Path | None = None) -> dict[str, Any]:
    """A target in a process of its own: a crash or a hang leaves the input that did it."""
    command = [sys.executable, __file__, "--child", "--only", name, "--engines", engine, "--keep", str(asked.keep)]
    command += ["--inputs", str(asked.inputs), "--minutes", str(asked.minutes)]
    command += ["--bundle", str(bundle)] if bundle else []
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_limit_memory)
    if done.returncode:
        Last.recover(asked.keep / f"{name}-last")
        why = f"ended by {done.returncode}: {done.stderr[-300:]}"
        return {"inputs": asked.inputs, "findings": 1, "kinds of findings": [why]}
    return json.loads(done.stdout.splitlines()[-1])


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def guided(name: str, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a target under atheris; None where it is not installed."""
    if not importlib.util.find_spec("atheris"):
        return None
    options = [f"-runs={asked.inputs}", f"-seed={SEED + 1}", f"-timeout={LONGEST}", "-rss_limit_mb=4096"]
    options += ["-max_len=8192", f"-max_total_time={round(60 * asked.minutes)}"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, HARNESS / "guided.py", name, *options, f"-artifact_prefix={asked.keep}/{name}-"],
        capture_output=True,
        text=True,
    )
    memory = [int(mb) for mb in re.findall(r"rss: (\d+)Mb", done.stderr)]
    covered = re.findall(r"cov: (\d+)", done.stderr)
    tried = re.findall(r"^#(\d+)", done.stderr, re.MULTILINE)
    return {
        "inputs": int(tried[-1]) if tried else 0,
        "findings": int(done.returncode != 0),
        "kinds of findings": [done.stderr[-600:]] if done.returncode else [],
        "seconds": round(time.monotonic() - began, 1),
        "branches": int(covered[-1]) if covered else None,
        "resident, MiB": {"at the start": memory[0], "at the end": memory[-1]} if memory else None,
        "growth of the peak, MiB": max(memory) - memory[0] if memory else None,
    }


def exported(home: Path) -> Path:
    """A bundle of a small network."""
    from speed import bundles

    return bundles(home, 10, {"data.size": "[128, 128]"}, ("onnx_f32",))["onnx_f32"]


def child(asked: argparse.Namespace) -> None:
    tally = Tally(asked.only, asked.inputs, asked.minutes, asked.keep)
    if asked.only == HTTP:
        ask(asked.bundle, tally)
    else:
        read(asked.only, asked.engines, tally)
    print(json.dumps(tally.figures()))


def run(name: str, engine: str, asked: argparse.Namespace) -> dict[str, Any] | None:
    """The figures of a target under an engine."""
    if engine == "atheris":
        return guided(name, asked)
    if name != HTTP:
        return in_process(name, engine, asked)
    with tempfile.TemporaryDirectory() as home:
        return in_process(name, engine, asked, exported(Path(home)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", default=",".join((*READERS, HTTP)))
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "protores-fuzz")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bundle", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    if asked.child:
        child(asked)
        return
    before = RESULTS / "fuzz.json"
    figures = json.loads(before.read_text())["figures"] if before.exists() else {}
    for name in asked.only.split(","):
        for engine in asked.engines.split(","):
            if (name == HTTP) == (engine == "schemathesis"):
                figures.setdefault(name, {})[engine] = run(name, engine, asked)
                print(name, engine, json.dumps(figures[name][engine]), flush=True)
                write("fuzz", figures, seed=SEED)


if __name__ == "__main__":
    main()
