"""100,000 inputs for each reader of files from strangers, by mutation and guided by atheris.

    python benchmarks/fuzz.py [--inputs 100000] [--only image,contract]      # --only renews the figures of these

The targets and how inputs are made are in tests/fuzz. By mutation: valid files with a few bytes or values changed.
Guided: atheris follows the branches that inputs take (`pip install .[fuzz]`; without it that half is null). Each target
and way runs in a process of its own, so that a crash or a hang is found as such; the findings are counted, and their
inputs kept in the folder given by --keep. Results: benchmarks/results/fuzz.json, for docs/reliability.md.
"""

import argparse
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from common import RESULTS, ROOT, write

HARNESS = ROOT / "tests" / "fuzz"
sys.path.insert(0, str(HARNESS))
TARGETS = ("image", "contract", "split", "settings", "uses")
SEED = 0
MEMORY = 4 << 30
"""Bytes a process may map; more is growth."""
LONGEST = 30
"""Seconds for one input; more is a hang."""


def by_mutation(name: str, inputs: int, keep: Path) -> dict[str, Any]:
    """In this process: the figures of a target. A finding's input is kept, and the next is tried."""
    import mutation
    import targets

    rng, target = Random(SEED), targets.TARGETS[name]
    taken, findings, slowest, began = 0, [], 0.0, time.monotonic()
    for number in range(inputs):
        if number == inputs // 10:
            grown = resident()
        data = mutation.mutated(rng, name)
        (keep / f"{name}-last").write_bytes(data)
        at = time.perf_counter()
        try:
            taken += target(data)
        except Exception as error:  # whatever it is, it is a finding
            findings.append(f"{type(error).__name__}: {str(error)[:200]}")
            (keep / f"{name}-{number}").write_bytes(data)
        slowest = max(slowest, time.perf_counter() - at)
    (keep / f"{name}-last").unlink()
    return {
        "inputs": inputs,
        "taken": taken,
        "findings": len(findings),
        "kinds of findings": sorted(set(findings)),
        "seconds": round(time.monotonic() - began, 1),
        "slowest, ms": round(1000 * slowest, 1),
        "resident, MiB": {"after a tenth": grown, "at the end": resident()},
    }


def resident() -> int:
    """MiB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def in_process(name: str, inputs: int, keep: Path) -> dict[str, Any]:
    """by_mutation in a process of its own: a crash or a hang leaves the input that did it."""
    command = [sys.executable, __file__, "--child", name, "--inputs", str(inputs), "--keep", str(keep)]
    limit = 60 + inputs * 0.05
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, preexec_fn=_limit_memory)
    except subprocess.TimeoutExpired:
        return {"inputs": inputs, "findings": 1, "kinds of findings": ["a hang, or much slower than expected"]}
    if done.returncode:
        why = f"ended by {done.returncode}: {done.stderr[-300:]}"
        return {"inputs": inputs, "findings": 1, "kinds of findings": [why]}
    return json.loads(done.stdout.splitlines()[-1])


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def guided(name: str, inputs: int, keep: Path) -> dict[str, Any] | None:
    """The figures of a target under atheris; None where it is not installed."""
    if not importlib.util.find_spec("atheris"):
        return None
    options = [f"-runs={inputs}", f"-seed={SEED + 1}", f"-timeout={LONGEST}", "-rss_limit_mb=4096", "-max_len=8192"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, HARNESS / "guided.py", name, *options, f"-artifact_prefix={keep}/{name}-"],
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
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "protores-fuzz")
    parser.add_argument("--child")
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    if asked.child:
        print(json.dumps(by_mutation(asked.child, asked.inputs, asked.keep)))
        return
    before = RESULTS / "fuzz.json"
    figures = json.loads(before.read_text())["figures"] if before.exists() else {}
    for name in asked.only.split(","):
        figures[name] = {
            "mutated": in_process(name, asked.inputs, asked.keep),
            "guided": guided(name, asked.inputs, asked.keep),
        }
        print(name, json.dumps(figures[name]), flush=True)
    print(write("fuzz", figures, seed=SEED))


if __name__ == "__main__":
    main()
