"""Writes the tables of docs/reliability.md from the results of fuzz.py, soak.py and long_tests.py.

python benchmarks/reliability_page.py
"""

import json
from typing import Any

from common import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"
FUZZ = ("target", "engine", "inputs", "taken", "findings", "seconds", "slowest, ms", "memory, MiB")
LONG = ("test", "date", "outcome", "seconds")
LIVES = ("life", "ended by", "seconds", "memory after the warm-up, MiB", "at the end, MiB", "growth, %")
ENDS = ("SIGTERM", "kill -9", "SIGTERM")


def table(columns: tuple[str, ...], rows: list[tuple[Any, ...]], words: int = 1) -> str:
    """words: how many columns, from the left, are not numbers."""
    lines = [f"| {' | '.join(columns)} |", "|---" * words + "|---:" * (len(columns) - words) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(shown, row))} |" for row in rows)])


def shown(cell: Any) -> str:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)


def fuzz(record: dict[str, Any]) -> str:
    rows = []
    for target, engines in record["figures"].items():
        for engine, figures in engines.items():
            if figures is None:
                rows.append((target, engine, "not run", *[None] * (len(FUZZ) - 3)))
                continue
            memory = " to ".join(str(mib) for mib in (figures.get("resident, MiB") or {}).values())
            rows.append((target, engine, *(figures.get(key) for key in FUZZ[2:-1]), memory))
    note = "memory: early, after a tenth of the inputs at most (atheris: at the start), and at the end"
    return f"{table(FUZZ, rows, words=2)}\n\n{_by(record)}; {note}."


def soak(record: dict[str, Any]) -> str:
    figures = record["figures"]
    requests = figures["requests"]
    broken = sum(n for kind, n in requests.items() if kind != "whole" and not kind.startswith("sent again"))
    again = sum(n for kind, n in requests.items() if kind.startswith("sent again"))
    lost = figures["missing over HTTP"] + figures["missing in SQLite"]
    other = sum(figures[key] for key in ("another over HTTP", "another in SQLite", "images that are others"))
    untold = figures["verdicts that no client was told"]
    told = (
        f"{figures['seconds'] / 60:g} minutes, {figures['clients']} clients: {figures['accepted']:,} images accepted, "
        f"{broken:,} broken ones refused, {figures['wrong answers']} wrong answers; sent again {again:,} times while "
        f"the station was away. Of the accepted {lost} were missing in the store and {other} were another; {untold} "
        f"were there that no client had been told of. The log has {figures['lines in the log']} lines; integrity of "
        f"the database: {figures['integrity']}."
    )
    rows = [
        (number, ended, life["seconds"], life["after the warm-up, MiB"], life["at the end, MiB"],
         f"{100 * life['growth']:+.1f}")
        for number, (life, ended) in enumerate(zip(figures["lives"], ENDS, strict=True), 1)
    ]  # fmt: skip
    return f"{told}\n\n{table(LIVES, rows, words=2)}\n\n{_by(record)}."


def long(record: dict[str, Any]) -> str:
    rows = [(f"`{test}`", *(last[key] for key in LONG[1:])) for test, last in record["figures"].items()]
    return f"{table(LONG, rows, words=3)}\n\n{_by(record)}."


def _by(record: dict[str, Any]) -> str:
    hardware = record["hardware"]
    return f"On {hardware['cpu']}, {hardware['cores']} cores that others used too, Python {hardware['python']}"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, made, file in (("fuzz", fuzz, "fuzz"), ("soak", soak, "soak"), ("long", long, "long_tests")):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}\n{made(json.loads((RESULTS / f'{file}.json').read_text()))}\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
