"""Every command that writes, with a fault at every one of its file-system steps.

    python benchmarks/faults.py [--only train,export] [--minutes 60]      # --only renews the figures of these

On a toy product of 64 x 64 with random weights. What is tried, and what has to hold afterwards, is in tests/faults
(trial.py): a kill before each step, and in the midst of each write; from each place on a full disk, or a file system
that is read-only; an input/output error at each place; each file that is read vanished. Needs a C compiler and Linux.
A command that --minutes cut short goes on where it was with the next call. Results: benchmarks/results/faults.json, of
which the table in docs/reliability.md is made.
"""

import argparse
import errno
import json
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, write

from protores import toy, workflow

sys.path.insert(0, str(ROOT / "tests" / "faults"))
from scenarios import SCENARIOS, SETTINGS, Material, Scenario
from steps import Act, Commands, Fault
from trial import Place

PAGE = ROOT / "docs" / "reliability.md"
KINDS = ("killed", "torn", "full", "read-only", "broken", "vanished")
_BY_ERROR = {errno.ENOSPC: "full", errno.EROFS: "read-only", errno.EIO: "broken", errno.ENOENT: "vanished"}
_BY_ACT = {Act.KILL: "killed", Act.TEAR: "torn"}


def kind_of(fault: Fault) -> str:
    return _BY_ACT.get(fault.act) or _BY_ERROR[fault.error]


def make_material(home: Path) -> Material:
    """The product, its run and its bundle, made once for a folder."""
    material = Material(home / "data", home / "run", home / "bundle")
    if not material.bundle.exists():
        shutil.rmtree(home, ignore_errors=True)
        toy.draw(material.data, good=12, test_good=3, defects_per_kind=2, size=64)
        workflow.train(material.data, material.run, "quick", SETTINGS)
        workflow.export(material.run, material.bundle)
    return material


def walk(
    scenario: Scenario, material: Material, home: Path, commands: Commands, before: dict[str, Any] | None, until: float
) -> dict[str, Any]:
    """The figures of a command: how many faults of each kind it was given, and what did not hold."""
    place = Place.survey(scenario, material, home / "place", commands)
    faults = list(place.faults())
    tried, findings = 0, []
    if before is not None and 0 < before["tried"] < before["faults"] == len(faults):
        tried, findings = before["tried"], before["findings"]
    while tried < len(faults) and time.monotonic() < until:
        fault = faults[tried]
        tried += 1
        try:
            place.try_fault(fault)
        except Exception as error:  # whatever it is, it is a finding
            steps = dict(place.reads)[fault.root] if fault.reads else place.changes
            where = f"{kind_of(fault)} at {steps[fault.at - 1]}"
            findings.append(f"{where}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            print(scenario.name, findings[-1], flush=True)
    counts = Counter(map(kind_of, faults[:tried]))
    return {
        "steps": len(place.changes),
        "faults": len(faults),
        "tried": tried,
        **{kind: counts[kind] for kind in KINDS},
        "findings": findings,
    }


def table(record: dict[str, Any]) -> str:
    columns = ("command", "steps", *KINDS, "survived")
    lines = [f"| {' | '.join(columns)} |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    rows = [(name, *(found[key] for key in ("steps", *KINDS)), found["tried"] - len(found["findings"]))
            for name, found in record["figures"].items()]  # fmt: skip
    total = ("all", *(sum(row[i] for row in rows) for i in range(1, len(columns))))
    lines += [f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else cell for cell in row)} |"
              for row in (*rows, total)]  # fmt: skip
    machine = f"On {record['hardware']['cpu']}, Python {record['hardware']['python']}"
    return "\n".join(lines) + f"\n\n{machine}, by `python benchmarks/faults.py`."


def tell(path: Path) -> None:
    """Puts the table into docs/reliability.md."""
    begin, end = "<!-- faults -->", "<!-- /faults -->"
    new = f"{begin}\n{table(json.loads(path.read_text()))}\n{end}"
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{begin}.*{end}", lambda _: new, text, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(scenario.name for scenario in SCENARIOS))
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "protores-faults")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    path = RESULTS / "faults.json"
    figures = json.loads(path.read_text())["figures"] if path.exists() else {}
    material = make_material(asked.home)
    with Commands() as commands:
        for scenario in SCENARIOS:
            if scenario.name in asked.only.split(",") and time.monotonic() < until:
                before = figures.get(scenario.name)
                figures[scenario.name] = walk(scenario, material, asked.home, commands, before, until)
                print(scenario.name, json.dumps(figures[scenario.name]), flush=True)
                figures = {one.name: figures[one.name] for one in SCENARIOS if one.name in figures}
                tell(write("faults", figures, seed=0))


if __name__ == "__main__":
    main()
