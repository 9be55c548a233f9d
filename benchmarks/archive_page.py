"""Fills docs/scale.md with what archive.py measured, and reckons from there to 100 million images.

python benchmarks/archive_page.py
"""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from common import RESULTS, ROOT
from performance_page import table

PAGE = ROOT / "docs/scale.md"
ALL = 100_000_000
MACHINES = (1, 10, 100)
SHARD_SIZES = (1000, 10_000)
Figures = dict[str, Any]
Rows = list[list[Any]]


def read(name: str) -> Figures | None:
    """None where it was not measured yet."""
    path = RESULTS / f"archive_{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def measured(record: Figures) -> str:
    figures, hardware, load = record["figures"], record["hardware"], record["load_average"]
    head = ["images", "workers", "rows/s", "CPU of the workers, ms/row", "seconds to the first shard",
            "peak, MiB: command", "all workers", "Ray's own", "all at one time"]  # fmt: skip
    rows = [
        [f"{run['images']:,}", run["workers"], run["rows_per_second"], run["workers_cpu_ms_per_row"],
         run["seconds_to_first_shard"], *(run["peak_mib"][role] for role in ("command", "workers", "ray", "all"))]
        for run in figures["runs"]
    ]  # fmt: skip
    longest = max(figures["runs"], key=lambda run: run["images"])
    return "\n".join(
        (
            table(head, rows),
            "",
            f"{hardware['cpu']}, {hardware['cores']} cores, which other work used at the same time (load average "
            f"{load['before']} before, {load['after']} after): two workers did {figures['two_workers_over_one']} times",
            f"the rows per second of one. Images of {figures['side']} x {figures['side']}, shards of "
            f"{figures['shard_size']}. A row takes {longest['parquet_bytes_per_row']:.0f} bytes of Parquet, with",
            f"{longest['regions_per_row']} regions in it (random weights outline a lot).",
            "",
            "![memory over time by the archive's length, and hours to score by machines](pictures/archive.png)",
            "",
            "`docs/pictures/draw_scale.py` draws it; dots are whole calls, with Ray's start, and the lines go on at",
            "the rows per second above.",
        )
    )


def mean(part: list[Figures], of: str) -> float:
    """Seconds of CPU for each, at the larger size."""
    return part[1]["cpu_seconds"] / part[1][of]


def slope(part: list[Figures], of: str, what: str = "cpu_seconds") -> float:
    """What each one more costs, between the two sizes."""
    few, many = part
    return max(0.0, (many[what] - few[what]) / (many[of] - few[of]))


def span(seconds: float) -> str:
    """For a reader."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def memory(part: list[Figures], of: str) -> str:
    return ", ".join(f"{one['mib_more']} MiB at {one[of]:,}" for one in part)


def of_scoring(figures: Figures) -> Rows:
    rate = figures["rows_per_second"]["2"]
    row = max(figures["runs"], key=lambda run: run["images"])["parquet_bytes_per_row"]
    hours = [f"{machines}: {ALL / (rate * machines) / 3600:,.0f}" for machines in MACHINES]
    return [
        ["hours to score, by machines of 2 workers", f"{rate} rows/s x machines", ", ".join(hours)],
        ["Parquet", f"{row:.0f} bytes a row", f"{ALL * row / 1e9:,.0f} GB"],
    ]


def of_manifest(part: list[Figures]) -> Rows:
    each, size = mean(part, "paths"), part[1]["bytes_per_path"]
    measured = f"{size} bytes and {1e6 * each:.1f} µs of CPU a path; memory {memory(part, 'paths')} paths"
    return [["manifest", measured, f"{ALL * size / 1e9:.2f} GB, {span(ALL * each)}"]]


def of_listing(part: list[Figures]) -> Rows:
    each = mean(part, "files")
    measured = f"{1e6 * each:.1f} µs of CPU a file; memory {memory(part, 'files')} files"
    return [["listing folders of 10,000 files", measured, span(ALL * each)]]


def of_names(which: str, part: list[Figures]) -> Rows:
    each = 2**20 * slope(part, "files", "mib_more")
    return [[which, f"{each:.0f} bytes a name", f"{ALL * each / 1e9:.0f} GB of memory"]]


def of_plan(part: list[Figures]) -> Rows:
    each = slope(part, "shards")
    measured = f"{1e3 * each:.1f} ms of the command's CPU a shard; memory {memory(part, 'shards')} shards"
    times = [f"{span(ALL / size * each)} with shards of {size:,}" for size in SHARD_SIZES]
    return [["Ray Data's plan, 10,000 shards at a time", measured, ", ".join(times)]]


def of_resumed(part: list[Figures]) -> Rows:
    each = mean(part, "shards")
    times = [f"{span(ALL / size * each)} with shards of {size:,}" for size in SHARD_SIZES]
    return [["going on where it was cut off", f"{1e3 * each:.2f} ms of CPU a shard that is there", ", ".join(times)]]


PARTS: dict[str, Callable[[list[Figures]], Rows]] = {
    "manifest": of_manifest,
    "listing": of_listing,
    "flat": partial(of_names, "all files in one folder"),
    "flat_by_fsspec": partial(of_names, "the same in a store, by fsspec"),
    "plan": of_plan,
    "resumed": of_resumed,
}
"""What is told of the parts of planning that were measured."""


def reckoned(rows: Rows) -> str:
    return table(["", "measured", "for 100 million images"], rows)


def fill(text: str, block: str, content: str) -> str:
    found, count = re.subn(
        rf"(<!-- {block} -->\n).*?(<!-- /{block} -->)",
        lambda match: f"{match[1]}{content}\n{match[2]}",
        text,
        flags=re.S,
    )
    assert count == 1, block
    return found


if __name__ == "__main__":
    rows: Rows = []
    text = PAGE.read_text()
    if scoring := read("scoring"):
        text = fill(text, "archive", measured(scoring))
        rows += of_scoring(scoring["figures"])
    if planning := read("planning"):
        rows += [row for name, part in planning["figures"].items() for row in PARTS[name](part)]
    PAGE.write_text(fill(text, "reckoning", reckoned(rows)))
