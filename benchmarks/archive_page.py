"""Fills docs/scale.md with what archive.py measured, and reckons from there to 100 million images.

python benchmarks/archive_page.py
"""

import json
import re
from typing import Any

from common import RESULTS, ROOT
from performance_page import table

PAGE = ROOT / "docs/scale.md"
ALL = 100_000_000
MACHINES = (1, 10, 100)
SHARD_SIZES = (1000, 10_000)
Figures = dict[str, Any]


def read(name: str) -> Figures:
    return json.loads((RESULTS / f"archive_{name}.json").read_text())


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
        )
    )


def per(part: list[Figures], what: str, of: str, more: str = "cpu_seconds") -> float:
    """What one more `of` costs, by the two sizes that were measured."""
    few, many = part
    return max(0.0, (many[more] - few[more]) / (many[of] - few[of])) if what == "slope" else many[more] / many[of]


def span(seconds: float) -> str:
    """For a reader."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def reckoned(scoring: Figures, planning: Figures) -> str:
    runs, parts = scoring["figures"], planning["figures"]
    rate = runs["rows_per_second"]["2"]
    row = max(runs["runs"], key=lambda run: run["images"])["parquet_bytes_per_row"]
    paths, listed, flat, fsspec = (parts[name] for name in ("manifest", "listing", "flat", "flat_by_fsspec"))
    resumed, plan = parts["resumed"], parts["plan"]
    name, info = (2**20 * per(one, "slope", "files", "mib_more") for one in (flat, fsspec))
    hours = [f"{machines}: {ALL / (rate * machines) / 3600:,.0f}" for machines in MACHINES]
    path_us, file_us = (1e6 * per(one, "mean", of) for one, of in ((paths, "paths"), (listed, "files")))
    planned, looked = per(plan, "slope", "shards"), per(resumed, "mean", "shards")
    lines = [
        ["hours to score, by machines of 2 workers", "rows/s above x machines", ", ".join(hours)],
        ["Parquet", f"{row:.0f} bytes a row", f"{ALL * row / 1e9:,.0f} GB"],
        [
            "manifest",
            f"{paths[1]['bytes_per_path']} bytes and {path_us:.1f} µs of CPU a path; {paths[1]['mib_more']} MiB for "
            f"{paths[1]['paths']:,} paths, {paths[0]['mib_more']} for {paths[0]['paths']:,}",
            f"{ALL * paths[1]['bytes_per_path'] / 1e9:.2f} GB, {span(path_us * ALL / 1e6)}",
        ],
        ["listing folders of 10,000 files", f"{file_us:.1f} µs of CPU a file", span(file_us * ALL / 1e6)],
        ["all files in one folder", f"{name:.0f} bytes a name", f"{ALL * name / 1e9:.0f} GB of memory"],
        ["the same in a store, by fsspec", f"{info:.0f} bytes a name", f"{ALL * info / 1e9:.0f} GB of memory"],
        *(
            [
                f"Ray Data's plan, shards of {size:,}",
                f"{1e3 * planned:.1f} ms of the command's CPU a shard",
                f"{ALL // size:,} shards, {span(ALL / size * planned)}",
            ]
            for size in SHARD_SIZES
        ),
        [
            "its memory",
            ", ".join(f"{one['mib_more']} MiB for {one['shards']:,} shards" for one in plan),
            "10,000 shards are planned at a time",
        ],
        [
            "going on where it was cut off",
            f"{1e3 * looked:.2f} ms of CPU a shard that is there",
            ", ".join(f"{span(ALL / size * looked)} with shards of {size:,}" for size in SHARD_SIZES),
        ],
    ]
    return table(["", "measured", "for 100 million images"], lines)


def fill(text: str, block: str, content: str) -> str:
    found, count = re.subn(rf"(<!-- {block} -->\n).*?(<!-- /{block} -->)", rf"\g<1>{content}\n\2", text, flags=re.S)
    assert count == 1, block
    return found


if __name__ == "__main__":
    scoring, planning = read("scoring"), read("planning")
    text = fill(PAGE.read_text(), "archive", measured(scoring).replace("\\", "\\\\"))
    PAGE.write_text(fill(text, "reckoning", reckoned(scoring, planning)))
