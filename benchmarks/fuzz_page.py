"""Writes the table of docs/reliability.md from benchmarks/results/fuzz.json.

    python benchmarks/fuzz_page.py
"""

import json
import re
from typing import Any

from common import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"
COLUMNS = ("reader", "way", "inputs", "taken", "findings", "seconds", "slowest, ms", "memory, MiB")


def row(reader: str, way: str, figures: dict[str, Any] | None) -> str:
    if figures is None:
        return f"| {reader} | {way} | not run |" + " |" * (len(COLUMNS) - 3)
    memory = " to ".join(str(mib) for mib in (figures.get("resident, MiB") or {}).values())
    cells = (figures.get(key, "") for key in ("inputs", "taken", "findings", "seconds", "slowest, ms"))
    shown = [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells]
    return "| " + " | ".join((reader, way, *shown, memory)) + " |"


def table(record: dict[str, Any]) -> str:
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * 2 + "|---:" * (len(COLUMNS) - 2) + "|"]
    lines += [row(name, way, found[way]) for name, found in record["figures"].items() for way in ("mutated", "guided")]
    hardware = record["hardware"]
    machine = f"On {hardware['cpu']}, Python {hardware['python']}, one core"
    note = f"{machine}, by `{record['command']}`; memory: after a tenth of the inputs and at the end."
    return "\n".join(lines) + f"\n\n{note}"


def main() -> None:
    record = json.loads((RESULTS / "fuzz.json").read_text())
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- fuzz -->", "<!-- /fuzz -->"
    new = re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{table(record)}\n{end}", text, flags=re.DOTALL)
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
